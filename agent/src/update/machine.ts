import type { InstallState } from './journal.js';
import { CHANGES, kept, retryDelay } from './machine-changes.js';
import { GUARDS, type Situation } from './machine-guards.js';
import { BUSY, type Row, TABLE } from './machine-table.js';
import type { Effect, EffectName, Facts, InstallEvent, StateName, Transition } from './machine-types.js';

export function stateName(state: InstallState): StateName {
  return state.journal?.phase ?? 'IDLE';
}

/**
 * The install machine: state and event → next state and what to do. Pure; nothing else decides what becomes of an install.
 * Throws RangeError for an event that cannot come in this state: a bug of the caller.
 */
export function next(state: InstallState, event: InstallEvent, facts: Facts): Transition {
  const from = stateName(state);
  const situation: Situation = { state: withDesired(state, event), event, facts };
  const row = rowFor(from, situation);
  const to = row.to ?? from;
  const delayMs = retryDelay(row, situation);
  const changes = CHANGES[row.change](situation, to === 'IDLE' ? 'OFFERED' : to, delayMs);
  const unchanged = Object.keys(changes).length === 0 && situation.state === state;
  const after: InstallState = unchanged ? state : { ...situation.state, ...changes };
  if (stateName(after) !== to) throw new RangeError(`${from} on ${event.kind}: ${stateName(after)} instead of ${to}`);
  return { state: after, effects: row.effects.map((name) => effect(name, after, to, delayMs)) };
}

/** A newer desired state takes the place of the one before: the end of an older one must never be told under its number. */
function withDesired(state: InstallState, event: InstallEvent): InstallState {
  if (event.kind !== 'accepted') return state;
  const { desired } = event;
  const newest = state.newestIssuedAt;
  const newestIssuedAt = newest !== null && newest > desired.issuedAt ? newest : desired.issuedAt;
  return { ...state, generation: desired.generation, desired, newestIssuedAt, journal: null };
}

function rowFor(from: StateName, situation: Situation): Row {
  const { kind } = situation.event;
  const row = TABLE.find((each) => each.on === kind && each.from.includes(from) && GUARDS[each.when](situation));
  if (row === undefined) throw new RangeError(`the install machine has no row for ${kind} in ${from}`);
  return row;
}

function effect(name: EffectName, state: InstallState, at: StateName, delayMs: number): Effect {
  switch (name) {
    case 'report':
      return { do: name, terminal: !BUSY.includes(at) };
    case 'collect':
      return { do: name, keep: kept(state, at) };
    case 'schedule':
      return { do: name, delayMs };
    case 'abandon':
    case 'persist':
    case 'drain':
    case 'review':
    case 'proceed':
      return { do: name };
    default:
      if (state.journal === null) throw new RangeError(`${name} without an install in the journal`);
      return { do: name, release: state.journal.release };
  }
}
