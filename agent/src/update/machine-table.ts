import { INSTALL_PHASES } from '@vigie/protocol';
import { ENDS } from './journal.js';
import type { EffectName, EventKind, StateName } from './machine-types.js';

export const STATES: readonly StateName[] = ['IDLE', ...INSTALL_PHASES];

/** States in which a step runs. */
export const BUSY: readonly StateName[] = INSTALL_PHASES.filter((phase) => !ENDS.has(phase));
const AT_REST: readonly StateName[] = STATES.filter((state) => !BUSY.includes(state));
const RETRIED: readonly StateName[] = ['FAILED', 'INCONCLUSIVE'];

/** Conditions of rows, as they read in docs/updates.md; what each means in code stands in `machine-guards.ts`. */
export type Condition =
  | 'otherwise'
  | 'no release is wanted'
  | 'the wanted release runs already'
  | 'it failed here before'
  | 'this generation has its answer'
  | 'its wait is not over'
  | 'the model took the agent down 3 times'
  | 'going back, and the package is on the disk'
  | 'planned as a stop-swap'
  | 'going back to an earlier release'
  | 'a shadow run is asked for'
  | 'nothing was learned'
  | 'only a report is asked for'
  | 'the models agree enough'
  | 'the verdict is good'
  | 'the verdict is inconclusive'
  | 'killed from outside, not yet 3 times'
  | 'it may pass by itself'
  | 'the line was at fault'
  | 'the candidate is withdrawn'
  | 'what runs is withdrawn, and there is a way back'
  | 'what runs is withdrawn, and there is no way back';

/** How the journal changes; what each means in code stands in `machine-changes.ts`. */
export type Change =
  | 'none'
  | 'clear'
  | 'offer'
  | 'resume'
  | 'adopt'
  | 'refuse'
  | 'advance'
  | 'commit'
  | 'end'
  | 'retry'
  | 'blame'
  | 'go-back'
  | 'note'
  | 'give-back';

/** In `from`, when `on` happens and `when` holds: `to` (null: the same state). The first row that fits counts. */
export interface Row {
  from: readonly StateName[];
  on: EventKind;
  when: Condition;
  to: StateName | null;
  change: Change;
  effects: readonly EffectName[];
}

const row = (
  from: StateName | readonly StateName[],
  on: EventKind,
  when: Condition,
  to: StateName | null,
  change: Change,
  ...effects: EffectName[]
): Row => ({ from: typeof from === 'string' ? [from] : from, on, when, to, change, effects });

/** The install machine of a board (docs/updates.md shows the same). What has no row here cannot happen: a RangeError. */
// biome-ignore format: a table reads best with one row a line
export const TABLE: readonly Row[] = [
  row(STATES, 'accepted', 'no release is wanted', 'IDLE', 'clear', 'abandon', 'persist', 'report', 'review'),
  row(STATES, 'accepted', 'the wanted release runs already', 'COMMITTED', 'adopt', 'abandon', 'persist', 'report', 'collect', 'review'),
  row(STATES, 'accepted', 'it failed here before', 'FAILED', 'refuse', 'abandon', 'persist', 'report', 'collect', 'review'),
  row(STATES, 'accepted', 'otherwise', 'OFFERED', 'offer', 'abandon', 'persist', 'report', 'proceed'),

  row(STATES, 'started', 'no release is wanted', 'IDLE', 'clear', 'persist', 'report', 'review'),
  row(STATES, 'started', 'this generation has its answer', null, 'none', 'persist', 'report', 'collect', 'review'),
  row(STATES, 'started', 'the wanted release runs already', 'COMMITTED', 'adopt', 'persist', 'report', 'collect', 'review'),
  row(RETRIED, 'started', 'its wait is not over', null, 'retry', 'persist', 'report', 'schedule'),
  row(STATES, 'started', 'it failed here before', 'FAILED', 'refuse', 'persist', 'report', 'collect', 'review'),
  row(BUSY, 'started', 'the model took the agent down 3 times', 'FAILED', 'refuse', 'persist', 'report', 'collect', 'review'),
  row(STATES, 'started', 'otherwise', 'OFFERED', 'resume', 'persist', 'report', 'proceed'),

  row('OFFERED', 'done', 'otherwise', 'PREFLIGHT', 'advance', 'persist', 'report', 'preflight'),
  row('PREFLIGHT', 'done', 'going back, and the package is on the disk', 'VERIFYING', 'advance', 'persist', 'report', 'verify'),
  row('PREFLIGHT', 'done', 'otherwise', 'DOWNLOADING', 'advance', 'persist', 'report', 'fetch'),
  row('DOWNLOADING', 'done', 'otherwise', 'VERIFYING', 'advance', 'persist', 'report', 'verify'),
  row('VERIFYING', 'done', 'otherwise', 'STAGED', 'advance', 'persist', 'report', 'proceed'),
  row('STAGED', 'done', 'planned as a stop-swap', 'SELF_TEST', 'advance', 'persist', 'report', 'stop-swap'),
  row('STAGED', 'done', 'otherwise', 'SELF_TEST', 'advance', 'persist', 'report', 'self-test'),
  row('SELF_TEST', 'done', 'going back to an earlier release', 'TRIAL', 'advance', 'persist', 'report', 'take-over'),
  row('SELF_TEST', 'done', 'a shadow run is asked for', 'SHADOW', 'advance', 'persist', 'report', 'shadow'),
  row('SELF_TEST', 'done', 'otherwise', 'TRIAL', 'advance', 'persist', 'report', 'trial'),

  row('SHADOW', 'looked', 'killed from outside, not yet 3 times', 'INCONCLUSIVE', 'retry', 'abandon', 'persist', 'report', 'schedule'),
  row('SHADOW', 'looked', 'nothing was learned', 'INCONCLUSIVE', 'retry', 'abandon', 'persist', 'report', 'schedule'),
  row('SHADOW', 'looked', 'only a report is asked for', 'SHADOWED', 'end', 'abandon', 'persist', 'report', 'collect'),
  row('SHADOW', 'looked', 'the models agree enough', 'TRIAL', 'advance', 'persist', 'report', 'trial'),
  row('SHADOW', 'looked', 'otherwise', 'FAILED', 'blame', 'abandon', 'persist', 'report', 'collect'),

  row('TRIAL', 'judged', 'the verdict is good', 'COMMITTED', 'commit', 'persist', 'drain', 'report', 'collect', 'review'),
  row('TRIAL', 'judged', 'killed from outside, not yet 3 times', 'INCONCLUSIVE', 'retry', 'abandon', 'persist', 'report', 'schedule'),
  row('TRIAL', 'judged', 'the verdict is inconclusive', 'INCONCLUSIVE', 'retry', 'abandon', 'persist', 'report', 'schedule'),
  row('TRIAL', 'judged', 'otherwise', 'ROLLED_BACK', 'blame', 'abandon', 'persist', 'report', 'collect', 'review'),

  row(BUSY, 'failed', 'killed from outside, not yet 3 times', 'FAILED', 'retry', 'abandon', 'persist', 'report', 'schedule'),
  row(BUSY, 'failed', 'it may pass by itself', 'FAILED', 'retry', 'abandon', 'persist', 'report', 'collect', 'schedule'),
  row(BUSY, 'failed', 'otherwise', 'FAILED', 'blame', 'abandon', 'persist', 'report', 'collect', 'review'),

  row(RETRIED, 'due', 'otherwise', 'OFFERED', 'resume', 'persist', 'report', 'proceed'),
  row('FAILED', 'connected', 'the line was at fault', 'OFFERED', 'resume', 'persist', 'report', 'proceed'),
  row(STATES, 'connected', 'otherwise', null, 'none'),

  row(BUSY, 'withdrawn', 'the candidate is withdrawn', 'FAILED', 'end', 'abandon', 'persist', 'report', 'collect', 'review'),
  row(AT_REST, 'withdrawn', 'what runs is withdrawn, and there is a way back', 'OFFERED', 'go-back', 'persist', 'report', 'proceed'),
  row('IDLE', 'withdrawn', 'what runs is withdrawn, and there is no way back', 'COMMITTED', 'note', 'persist', 'report'),
  row(AT_REST, 'withdrawn', 'what runs is withdrawn, and there is no way back', null, 'note', 'persist', 'report'),
  row(STATES, 'withdrawn', 'otherwise', null, 'none'),

  row(BUSY, 'stopped', 'otherwise', null, 'give-back', 'abandon', 'persist'),
  row(AT_REST, 'stopped', 'otherwise', null, 'none'),
];
