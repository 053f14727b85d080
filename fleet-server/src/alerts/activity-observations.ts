import type { Observation } from './decide.js';
import type { RuleKind } from './rule.js';

interface Happened {
  kind: string;
  subject: string;
  body: Record<string, unknown>;
}

/** Ends of a rollout, or pauses, that somebody should look at. */
const STOPPED = new Set(['paused', 'aborted', 'failed', 'expired', 'turning-back', 'turned-back']);

/** What an entry of the activity log says to alert rules. */
export interface ActivityObservation {
  kind: RuleKind;
  observation: Observation;
  /** It says so of every subject that begins with this: an override speaks for all gates of a release. */
  of?: string;
}

/** Null: it says nothing. A gate's subject is `name@version/gate`: that one gate passes a release ends no alert of another. */
export function observeActivity({ kind, subject, body }: Happened): ActivityObservation | null {
  const observation = (state: Observation['state'], text: string, about = subject): Observation => ({
    ...{ subject: about, state, since: null, text, detail: body },
  });
  switch (kind) {
    case 'gate.judged': {
      const { policy } = body;
      const text = `gate ${policy} of ${subject}: ${body.verdict}${reason(body)}`;
      const state = body.verdict === 'pass' ? 'fine' : 'firing';
      return { kind: 'gate-failed', observation: observation(state, text, `${subject}/${policy}`) };
    }
    case 'gate.overridden': {
      if (body.state !== 'approved') return null;
      const text = `gates of ${subject}: overridden${reason(body)}`;
      return { kind: 'gate-failed', observation: observation('fine', text), of: `${subject}/` };
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

/** Why, in the words of the entry: one line, several, or a reason with its code. */
function reason({ reason, why, text }: Record<string, unknown>): string {
  const said = reason ?? why ?? text;
  if (Array.isArray(said)) return said.length === 0 ? '' : `: ${said.slice(0, 5).join('; ')}`.slice(0, 500);
  const line = typeof said === 'object' && said !== null && 'text' in said ? said.text : said;
  return typeof line === 'string' ? `: ${line}`.slice(0, 500) : '';
}
