import type { Desired, InstallPhase } from '@vigie/protocol';
import { RETRY_TIMES } from '../src/update/faults.js';
import { EMPTY_STATE, type InstallState, type JournalEntry } from '../src/update/journal.js';
import { next, stateName } from '../src/update/machine.js';
import type { EventKind, Facts, InstallEvent, StateName } from '../src/update/machine-types.js';

/** States and events of the install machine for its tests. */

export const [a, b, c] = ['a', 'b', 'c'].map((letter, index) => ({
  name: 'person',
  version: `1.${index}.0`,
  digest: letter.repeat(64),
}));
export const bundled = { name: 'person', version: '0.9.0', digest: 'f'.repeat(64) };
export const facts: Facts = { wallMs: Date.UTC(2026, 10, 21), random: 0.5, bundled, retryTimes: RETRY_TIMES };
export const wanted = (changes: Partial<Desired> = {}): Desired => ({
  deviceId: 'board-1',
  generation: 7,
  issuedAt: '2026-11-21T07:00:00.000Z',
  release: b,
  ...changes,
});
export const entry = (phase: InstallPhase, changes: Partial<JournalEntry> = {}): JournalEntry => ({
  generation: 7,
  release: b,
  phase,
  error: null,
  attempt: 1,
  loads: ['SELF_TEST', 'SHADOW', 'TRIAL'].includes(phase) ? 1 : 0,
  killed: 0,
  ...changes,
});

/** A board that ran `a`, and got as far as `name` with `b`. */
export function at(
  name: StateName,
  changes: Partial<InstallState> = {},
  journal: Partial<JournalEntry> = {},
): InstallState {
  const state = { ...EMPTY_STATE, generation: 7, active: a, previous: c };
  if (name === 'IDLE') return { ...state, desired: wanted({ release: null }), ...changes };
  const retried = name === 'FAILED' || name === 'INCONCLUSIVE';
  const ended: Partial<JournalEntry> = retried
    ? {
        error: { code: name === 'FAILED' ? 'CHUNK_MISSING' : 'TRIAL_HOT', message: '' },
        retryAt: '2026-11-21T07:00:01.000Z',
      }
    : {};
  return {
    ...state,
    ...(name === 'COMMITTED' ? { active: b, previous: a } : {}),
    desired: wanted(),
    journal: entry(name, { ...ended, ...journal }),
    ...changes,
  };
}

export const EVENTS: Record<EventKind, InstallEvent> = {
  accepted: { kind: 'accepted', desired: wanted({ generation: 8, release: { ...c, digest: 'd'.repeat(64) } }) },
  started: { kind: 'started' },
  done: { kind: 'done', plan: { mode: 'hot', expectedGapMs: 0 } },
  failed: { kind: 'failed', code: 'GOLDEN_MISMATCH', message: 'no box' },
  looked: { kind: 'looked', ended: 'hot', agreement: null, message: 'hot' },
  judged: { kind: 'judged', verdict: 'good', message: '' },
  due: { kind: 'due' },
  connected: { kind: 'connected' },
  withdrawn: { kind: 'withdrawn', digests: [] },
  stopped: { kind: 'stopped' },
};

export const run = (state: InstallState, event: InstallEvent, changes: Partial<Facts> = {}) => {
  const { state: after, effects } = next(state, event, { ...facts, ...changes });
  return { state: after, name: stateName(after), does: effects.map((effect) => effect.do), effects };
};
