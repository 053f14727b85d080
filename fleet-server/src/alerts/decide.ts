import type { Rule } from './rule.js';

/** What is known of one subject now. */
export interface Observation {
  subject: string;
  /** `unknown`: nothing was heard that would raise or clear (a board that is offline says nothing of its fps). */
  state: 'firing' | 'fine' | 'unknown';
  /** Since when it fires, where the source knows; null: since it was first seen to. */
  since: Date | null;
  /** One line for people. */
  text: string;
  detail: Record<string, unknown>;
}

/** An alert that is not cleared. */
export interface OpenAlert {
  subject: string;
  state: 'pending' | 'raised';
  since: Date;
}

export type AlertChange =
  | { change: 'pend' | 'raise'; subject: string; since: Date; text: string; detail: Record<string, unknown> }
  | { change: 'forget' | 'clear'; subject: string; text: string | null };

export interface DecisionInput {
  rule: Pick<Rule, 'minutes'>;
  open: readonly OpenAlert[];
  observations: readonly Observation[];
  /** The observations name every subject that there is: an alert about another one is over. */
  complete: boolean;
  now: Date;
}

/**
 * What becomes of a rule's alerts. One subject has one open alert at the most: firing again changes nothing (de-duplication),
 * what fires shorter than the rule's `minutes` waits as `pend`, and `unknown` keeps everything as it is.
 */
export function decideAlerts({ rule, open, observations, complete, now }: DecisionInput): AlertChange[] {
  const known = new Map(open.map((alert) => [alert.subject, alert]));
  const changes: AlertChange[] = [];
  const seen = new Set<string>();
  for (const { subject, state, since, text, detail } of observations) {
    seen.add(subject);
    const alert = known.get(subject);
    if (state === 'unknown') continue;
    if (state === 'fine') {
      if (alert !== undefined) changes.push(over(alert, text));
      continue;
    }
    if (alert?.state === 'raised') continue;
    const began = since ?? alert?.since ?? now;
    const long = now.getTime() - began.getTime() >= rule.minutes * 60_000;
    if (long) changes.push({ change: 'raise', subject, since: began, text, detail });
    else if (alert === undefined) changes.push({ change: 'pend', subject, since: began, text, detail });
  }
  if (!complete) return changes;
  return [...changes, ...open.filter((alert) => !seen.has(alert.subject)).map((alert) => over(alert, null))];
}

const over = ({ subject, state }: OpenAlert, text: string | null): AlertChange => ({
  change: state === 'raised' ? 'clear' : 'forget',
  subject,
  text,
});
