import type { Observation } from './decide.js';
import type { RuleKind } from './rule.js';

interface Happened {
  kind: string;
  subject: string;
  body: Record<string, unknown>;
}

/** Ends of a rollout, or pauses, that somebody should look at. */
const STOPPED = new Set(['paused', 'aborted', 'failed', 'expired', 'turning-back', 'turned-back']);

/** What an entry of the activity log says to alert rules; null: nothing. */
export function observeActivity({
  kind,
  subject,
  body,
}: Happened): { kind: RuleKind; observation: Observation } | null {
  const observation = (state: Observation['state'], text: string): Observation => ({
    ...{ subject, state, since: null, text, detail: body },
  });
  switch (kind) {
    case 'gate.judged':
    case 'gate.overridden': {
      const passed = kind === 'gate.overridden' || body.verdict === 'pass';
      const said = kind === 'gate.overridden' ? 'overridden' : String(body.verdict);
      return {
        kind: 'gate-failed',
        observation: observation(passed ? 'fine' : 'firing', `gate of ${subject}: ${said}${reason(body)}`),
      };
    }
    case 'rollout.changed':
    case 'rollout.ended': {
      const state = String(body.state ?? body.to ?? '');
      const stopped = STOPPED.has(state);
      return {
        kind: 'rollout-paused',
        observation: observation(stopped ? 'firing' : 'fine', `rollout ${subject}: ${state}${reason(body)}`),
      };
    }
    default:
      return null;
  }
}

function reason({ reason, why, text }: Record<string, unknown>): string {
  const said = reason ?? why ?? text;
  if (Array.isArray(said)) return said.length === 0 ? '' : `: ${said.slice(0, 5).join('; ')}`.slice(0, 500);
  return typeof said === 'string' ? `: ${said}`.slice(0, 500) : '';
}
