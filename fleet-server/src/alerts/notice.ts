import { isQuiet } from './quiet-time.js';
import type { Rule } from './rule.js';

/** Why somebody is told. */
export type NoticeKind = 'raised' | 'repeated' | 'cleared';

export interface NotifiableAlert {
  state: 'raised' | 'cleared';
  acknowledgedAt: Date | null;
  /** How often its raising was told. */
  notices: number;
  lastNoticeAt: Date | null;
  clearedNoticed: boolean;
}

/**
 * What is to be told of an alert now; null: nothing. Quiet time holds everything back until its end; what was raised and
 * cleared within it is never told, and the end of an alert is told only to those who heard of its beginning.
 */
export function dueNotice(
  alert: NotifiableAlert,
  rule: Pick<Rule, 'quiet' | 'repeatMinutes'>,
  now: Date,
): NoticeKind | null {
  if (rule.quiet !== null && isQuiet(rule.quiet, now)) return null;
  if (alert.state === 'cleared') return alert.notices > 0 && !alert.clearedNoticed ? 'cleared' : null;
  if (alert.acknowledgedAt !== null) return null;
  if (alert.notices === 0) return 'raised';
  if (rule.repeatMinutes === null || alert.lastNoticeAt === null) return null;
  return now.getTime() - alert.lastNoticeAt.getTime() >= rule.repeatMinutes * 60_000 ? 'repeated' : null;
}
