import type { InstallErrorCode, ReleaseReference } from '@vigie/protocol';
import { FAULTS, killedFromOutside, MAX_KILLED } from './faults.js';
import type { InstallState, JournalEntry } from './journal.js';
import type { Condition } from './machine-table.js';
import type { Facts, InstallEvent } from './machine-types.js';
import { type Action, reconcile } from './reconcile.js';
import { leaveWithdrawn, type WithdrawalDecision } from './withdrawal.js';

/** What a row is chosen and applied by. */
export interface Situation {
  /** Before the event; of `accepted`: with the new desired state in it, and without a journal. */
  state: InstallState;
  event: InstallEvent;
  facts: Facts;
}

/** Conditions of the table in code. */
export const GUARDS: Readonly<Record<Condition, (situation: Situation) => boolean>> = {
  otherwise: () => true,
  'no release is wanted': (s) => isNothing(actionOf(s), 'leave-as-is'),
  'this generation has its answer': (s) => isNothing(actionOf(s), 'answered'),
  'its wait is not over': (s) => isNothing(actionOf(s), 'waiting'),
  'the wanted release runs already': (s) => actionOf(s).kind === 'adopt',
  'it failed here before': (s) => refusal(s) === 'PREVIOUSLY_FAILED',
  'the model took the agent down 3 times': (s) => refusal(s) === 'TRIAL_CHILD_CRASHED',
  'going back, and the package is on the disk': (s) =>
    entryOf(s).left !== undefined && s.event.kind === 'done' && s.event.present === true,
  'planned as a stop-swap': (s) => entryOf(s).plan?.mode === 'stop',
  'going back to an earlier release': (s) => entryOf(s).left !== undefined,
  'a shadow run is asked for': ({ state }) =>
    state.desired?.shadow !== undefined && state.journal?.plan?.mode !== 'stop',
  'nothing was learned': ({ event }) =>
    event.kind === 'looked' && (event.ended === 'hot' || event.ended === 'no-frames'),
  'only a report is asked for': ({ state, event }) =>
    event.kind === 'looked' && event.ended === 'time' && state.desired?.shadow?.outcome === 'report',
  'the models agree enough': ({ state, event }) =>
    event.kind === 'looked' &&
    event.ended === 'time' &&
    (event.agreement?.agreement ?? 0) >= (state.desired?.shadow?.minAgreement ?? 0),
  'the verdict is good': ({ event }) => event.kind === 'judged' && event.verdict === 'good',
  'the verdict is inconclusive': ({ event }) => event.kind === 'judged' && event.verdict === 'inconclusive',
  'killed from outside, not yet 3 times': (s) => {
    const error = errorOf(s.event);
    return error !== null && killedFromOutside(error.code, error.message) && entryOf(s).killed + 1 < MAX_KILLED;
  },
  'it may pass by itself': (s) => {
    const { retry, attempts = Number.POSITIVE_INFINITY } = FAULTS[errorOf(s.event)?.code ?? 'INTERNAL'];
    return retry !== 'never' && retry !== 'start' && entryOf(s).attempt < attempts;
  },
  'the line was at fault': (s) => {
    const { error, retryAt } = entryOf(s);
    return retryAt !== undefined && error !== null && FAULTS[error.code].line === true;
  },
  'the candidate is withdrawn': ({ state, event }) =>
    event.kind === 'withdrawn' && state.journal !== null && event.digests.includes(state.journal.release.digest),
  'what runs is withdrawn, and there is a way back': (s) => wayBack(s) !== null,
  'what runs is withdrawn, and there is no way back': (s) => {
    const decision = leaving(s);
    const noted = s.state.journal?.error?.code === 'RELEASE_WITHDRAWN';
    return decision.kind === 'stay' && decision.code !== null && !noted;
  },
};

/** The model that detects while no candidate does. */
export function standing({ state, facts }: Pick<Situation, 'state' | 'facts'>): ReleaseReference | null {
  return state.active ?? facts.bundled;
}

/** Where to go now that what runs is withdrawn; null: it is not, or there is nothing better. */
export function wayBack(s: Situation): ReleaseReference | null {
  const decision = leaving(s);
  return decision.kind === 'go-to-previous' ? decision.release : null;
}

function leaving({ state, event, facts }: Situation): WithdrawalDecision {
  const { active, previous, desired, journal } = state;
  // An attempt to leave it waits for its retry.
  if (journal?.left !== undefined && journal.retryAt !== undefined) return { kind: 'stay', code: null };
  const failed = new Set(Object.keys(state.failed));
  // One that ended for good by another fault than the model's is not tried again either.
  if (journal?.left !== undefined && journal.phase !== 'COMMITTED') failed.add(journal.release.digest);
  const withdrawn = new Set(event.kind === 'withdrawn' ? event.digests : []);
  const usable = previous !== null && !failed.has(previous.digest) && !withdrawn.has(previous.digest);
  return leaveWithdrawn({
    active,
    // What is not on its way is no reason to stay.
    desired: journal?.retryAt !== undefined && journal.left === undefined ? (desired?.release ?? null) : null,
    previous: usable ? previous : facts.bundled,
    withdrawn,
    failed,
  });
}

export function actionOf({ state, facts }: Situation): Action {
  return reconcile(state, standing({ state, facts })?.digest ?? null);
}

/** What went wrong, by an event. */
export function errorOf(event: InstallEvent): { code: InstallErrorCode; message: string } | null {
  switch (event.kind) {
    case 'failed':
      return { code: event.code, message: event.message };
    case 'judged':
      return event.verdict === 'good' ? null : { code: event.code ?? 'INTERNAL', message: event.message };
    case 'looked':
      return event.ended === 'time' && event.agreement === null
        ? null
        : { code: codeOfShadow(event), message: event.message };
    case 'withdrawn':
      return { code: 'RELEASE_WITHDRAWN', message: 'the publisher no longer lists this release' };
    default:
      return null;
  }
}

function codeOfShadow({ ended }: Extract<InstallEvent, { kind: 'looked' }>): InstallErrorCode {
  switch (ended) {
    case 'crashed':
      return 'TRIAL_CHILD_CRASHED';
    case 'hot':
      return 'TRIAL_HOT';
    case 'no-frames':
      return 'TRIAL_NO_FRAMES';
    case 'time':
      return 'SHADOW_DISAGREES';
  }
}

/** Throws RangeError where no install stands in the journal: a bug of ours. */
export function entryOf({ state, event }: Situation): JournalEntry {
  if (state.journal === null) throw new RangeError(`${event.kind}: no install stands in the journal`);
  return state.journal;
}

function isNothing(action: Action, reason: string): boolean {
  return action.kind === 'nothing' && action.reason === reason;
}

function refusal(situation: Situation): InstallErrorCode | null {
  const action = actionOf(situation);
  return action.kind === 'refuse' ? action.code : null;
}
