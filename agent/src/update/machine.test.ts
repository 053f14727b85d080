import { readFileSync } from 'node:fs';
import type { Desired, InstallPhase } from '@vigie/protocol';
import { describe, expect, test } from 'vitest';
import { FAULTS, RETRY_TIMES } from './faults.js';
import { EMPTY_STATE, ENDS, type InstallState, type JournalEntry } from './journal.js';
import { next, stateName } from './machine.js';
import { faultTable, machineTable } from './machine-document.js';
import { STATES, TABLE } from './machine-table.js';
import type { EventKind, Facts, InstallEvent, StateName } from './machine-types.js';

const [a, b, c] = ['a', 'b', 'c'].map((letter, index) => ({
  name: 'person',
  version: `1.${index}.0`,
  digest: letter.repeat(64),
}));
const bundled = { name: 'person', version: '0.9.0', digest: 'f'.repeat(64) };
const facts: Facts = { wallMs: Date.UTC(2026, 10, 21), random: 0.5, bundled, retryTimes: RETRY_TIMES };
const wanted = (changes: Partial<Desired> = {}): Desired => ({
  deviceId: 'board-1',
  generation: 7,
  issuedAt: '2026-11-21T07:00:00.000Z',
  release: b,
  ...changes,
});
const entry = (phase: InstallPhase, changes: Partial<JournalEntry> = {}): JournalEntry => ({
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
function at(name: StateName, changes: Partial<InstallState> = {}, journal: Partial<JournalEntry> = {}): InstallState {
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

const EVENTS: Record<EventKind, InstallEvent> = {
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

const run = (state: InstallState, event: InstallEvent, changes: Partial<Facts> = {}) => {
  const { state: after, effects } = next(state, event, { ...facts, ...changes });
  return { state: after, name: stateName(after), does: effects.map((effect) => effect.do), effects };
};

describe('the table', () => {
  test('every state × event has a row that fits, or is refused with a RangeError', () => {
    let rows = 0;
    let refused = 0;
    for (const name of STATES) {
      for (const [kind, event] of Object.entries(EVENTS)) {
        const some = TABLE.some(({ from, on }) => on === kind && from.includes(name));
        if (some) {
          rows += 1;
          const { state, effects } = next(at(name), event, facts);
          const steps = effects.filter(({ do: what }) => !QUICK.has(what));
          expect(steps.length, `${name} × ${kind}`).toBe(
            ENDS.has(stateName(state) as never) ||
              stateName(state) === 'IDLE' ||
              effects.length === 0 ||
              kind === 'stopped'
              ? 0
              : 1,
          );
          if (steps.length === 1) expect(effects.at(-1)).toBe(steps[0]);
        } else {
          refused += 1;
          expect(() => next(at(name), event, facts), `${name} × ${kind}`).toThrow(RangeError);
        }
      }
    }
    expect(rows + refused).toBe(STATES.length * 10);
    expect(rows).toBeGreaterThan(80);
  });

  test('every row can be reached, and whatever follows is on the disk before it is acted upon', () => {
    for (const { effects, to, change } of TABLE) {
      if (change === 'none' && to === null) continue;
      expect(effects).toContain('persist');
      const persisted = effects.indexOf('persist');
      for (const early of effects.slice(0, persisted)) expect(early).toBe('abandon');
    }
    for (const { from, on, when } of TABLE) expect([from.length, on, when].every(Boolean)).toBe(true);
    // A condition after an `otherwise` would never be asked.
    const seen = new Set<string>();
    for (const { from, on, when } of TABLE) {
      for (const name of from) {
        expect(seen.has(`${name} ${on}`), `${name} ${on} ${when}`).toBe(false);
      }
      if (when === 'otherwise') for (const name of from) seen.add(`${name} ${on}`);
    }
  });

  test('only the good verdict of a trial changes what the board starts from', () => {
    for (const name of STATES) {
      for (const event of Object.values(EVENTS)) {
        if (name === 'TRIAL' && event.kind === 'judged') continue;
        if (!TABLE.some(({ from, on }) => on === event.kind && from.includes(name))) continue;
        expect(next(at(name), event, facts).state.active, `${name} × ${event.kind}`).toEqual(at(name).active);
      }
    }
    expect(run(at('TRIAL'), EVENTS.judged).state).toMatchObject({ active: b, previous: a });
  });

  test('stands in docs/updates.md as it is', () => {
    const text = readFileSync(new URL('../../../docs/updates.md', import.meta.url), 'utf8');
    expect(text).toContain(machineTable());
    expect(text).toContain(faultTable());
  });
});

const QUICK: ReadonlySet<string> = new Set(['abandon', 'persist', 'report', 'drain', 'collect', 'schedule', 'review']);

describe('an install', () => {
  test('goes its way from offer to commit, one step at a time', () => {
    let state = run(at('IDLE'), { kind: 'accepted', desired: wanted({ generation: 8 }) }).state;
    const way: string[] = [stateName(state)];
    for (let i = 0; i < 6; i += 1) {
      state = run(state, EVENTS.done).state;
      way.push(stateName(state));
    }
    expect(way).toEqual(['OFFERED', 'PREFLIGHT', 'DOWNLOADING', 'VERIFYING', 'STAGED', 'SELF_TEST', 'TRIAL']);
    const { state: end, does } = run(state, EVENTS.judged);
    expect(does).toEqual(['persist', 'drain', 'report', 'collect', 'review']);
    expect(end).toMatchObject({ active: b, previous: a, journal: { phase: 'COMMITTED', error: null } });
  });

  test('with a shadow run: report only, agreement enough, disagreement, heat', () => {
    const shadow = { seconds: 60, everyFrames: 5, outcome: 'report' as const, minAgreement: 0.5 };
    const agreement = (share: number) => ({
      ...{ frames: 50, candidateBoxes: 9, referenceBoxes: 9, matchedBoxes: 9, agreement: share },
      ...{ scoreDrift: 0, candidateP95Ms: 9, referenceP95Ms: 9 },
    });
    const looked = (share: number): InstallEvent => ({
      kind: 'looked',
      ended: 'time',
      agreement: agreement(share),
      message: '',
    });
    const only = { desired: wanted({ shadow }) };
    expect(run(at('SELF_TEST', only), EVENTS.done).name).toBe('SHADOW');
    const report = run(at('SHADOW', only), looked(0.2));
    expect(report.state.journal).toMatchObject({ phase: 'SHADOWED', error: null, agreement: { agreement: 0.2 } });
    expect(report.state.active).toEqual(a);
    const then = { desired: wanted({ shadow: { ...shadow, outcome: 'trial' as const } }) };
    expect(run(at('SHADOW', then), looked(0.6)).name).toBe('TRIAL');
    const bad = run(at('SHADOW', then), looked(0.4)).state;
    expect(bad.journal?.error?.code).toBe('SHADOW_DISAGREES');
    expect(bad.failed[b.digest]?.code).toBe('SHADOW_DISAGREES');
    expect(run(at('SHADOW', only), EVENTS.looked).name).toBe('INCONCLUSIVE');
  });

  test('planned as a stop-swap is neither tested beside the live model nor looked at in the shadow', () => {
    const plan = { mode: 'stop' as const, expectedGapMs: 1500 };
    expect(run(at('STAGED', {}, { plan }), EVENTS.done).does.at(-1)).toBe('stop-swap');
    const shadow = { seconds: 60, everyFrames: 5, outcome: 'report' as const, minAgreement: 0.5 };
    expect(run(at('SELF_TEST', { desired: wanted({ shadow }) }, { plan }), EVENTS.done).name).toBe('TRIAL');
  });
});

describe('what goes wrong', () => {
  const failed = (code: keyof typeof FAULTS, message = ''): InstallEvent => ({ kind: 'failed', code, message });

  test('is final, or tried again as its code says; only model faults are remembered', () => {
    for (const [code, { retry, model }] of Object.entries(FAULTS) as [
      keyof typeof FAULTS,
      (typeof FAULTS)['INTERNAL'],
    ][]) {
      const { state, name, does } = run(at('DOWNLOADING'), failed(code));
      expect(name).toBe('FAILED');
      expect(does.includes('schedule'), code).toBe(retry !== 'never' && retry !== 'start');
      expect(state.journal?.retryAt !== undefined, code).toBe(does.includes('schedule'));
      expect(b.digest in state.failed, code).toBe(model);
    }
  });

  test('waits longer each time, by chance, and counts', () => {
    const wait = (attempt: number, random: number, code: keyof typeof FAULTS = 'CHUNK_MISSING') => {
      const { effects } = run(at('DOWNLOADING', {}, { attempt }), failed(code), { random });
      const schedule = effects.find((effect) => effect.do === 'schedule');
      return schedule?.do === 'schedule' ? schedule.delayMs : null;
    };
    expect([wait(1, 1), wait(2, 1), wait(3, 1), wait(30, 1)]).toEqual([5000, 10_000, 20_000, 300_000]);
    expect(wait(3, 0.25)).toBe(5000);
    expect(wait(1, 1, 'NOT_CERTIFIED')).toBe(60_000);
    expect(wait(1, 1, 'DATA_BUDGET_EXCEEDED')).toBe(3_600_000);
    const { state } = run(at('FAILED', {}, { attempt: 2 }), EVENTS.due);
    expect(state.journal).toMatchObject({ phase: 'OFFERED', attempt: 3, error: null });
    expect(state.journal?.retryAt).toBeUndefined();
  });

  test('a file that comes corrupt is fetched three times', () => {
    expect(run(at('VERIFYING', {}, { attempt: 2 }), failed('FILE_CORRUPT')).does).toContain('schedule');
    expect(run(at('VERIFYING', {}, { attempt: 3 }), failed('FILE_CORRUPT')).does).not.toContain('schedule');
  });

  test('a child killed from outside is not the model, until the third time', () => {
    let state = at('SELF_TEST');
    for (const [round, held] of [false, false, true].entries()) {
      const result = run(state, failed('MODEL_LOAD_FAILED', 'SIGKILL'));
      expect(b.digest in result.state.failed, `${round}`).toBe(held);
      expect(result.does.includes('schedule')).toBe(!held);
      state = { ...result.state, journal: { ...(result.state.journal as JournalEntry), phase: 'SELF_TEST', loads: 1 } };
    }
    expect(b.digest in run(at('SELF_TEST'), failed('MODEL_LOAD_FAILED', 'SIGSEGV')).state.failed).toBe(true);
    const trial = run(at('TRIAL'), {
      kind: 'judged',
      verdict: 'bad',
      code: 'TRIAL_CHILD_CRASHED',
      message: 'died: SIGKILL',
    });
    expect(trial.name).toBe('INCONCLUSIVE');
    expect(trial.state.failed).toEqual({});
  });

  test('an inconclusive trial is no failure, however often; the agent was not taken down by it', () => {
    let state = at('TRIAL');
    for (let attempt = 1; attempt < 10; attempt += 1) {
      const hot = run(state, { kind: 'judged', verdict: 'inconclusive', code: 'TRIAL_HOT', message: '83 °C' });
      expect(hot).toMatchObject({ name: 'INCONCLUSIVE', state: { failed: {}, journal: { loads: 0, attempt } } });
      state = run(hot.state, EVENTS.due).state;
      for (let i = 0; i < 6; i += 1) state = run(state, EVENTS.done).state;
    }
    expect(stateName(state)).toBe('TRIAL');
  });

  test('a disk that fails at the commit turns back, and tries again', () => {
    const { name, does } = run(at('TRIAL'), failed('DISK_ERROR'));
    expect([name, does]).toEqual(['FAILED', ['abandon', 'persist', 'report', 'collect', 'schedule']]);
  });

  test('a new connection helps what the line was at fault for', () => {
    expect(run(at('FAILED'), EVENTS.connected).name).toBe('OFFERED');
    const disk = at('FAILED', {}, { error: { code: 'DISK_FULL', message: '' } });
    expect(run(disk, EVENTS.connected)).toMatchObject({ name: 'FAILED', does: [] });
  });
});

describe('a start', () => {
  test('goes on with what was under way, from the beginning, and counts its loads', () => {
    for (const name of STATES) {
      if (ENDS.has(name as never) || name === 'IDLE') continue;
      const { state, does } = run(at(name, {}, { attempt: 2 }), EVENTS.started);
      expect(state.journal, name).toMatchObject({ phase: 'OFFERED', attempt: 2 });
      expect(does.at(-1)).toBe('proceed');
    }
    const { state } = run(at('TRIAL', {}, { loads: 3 }), EVENTS.started);
    expect(state.journal).toMatchObject({ phase: 'FAILED', error: { code: 'TRIAL_CHILD_CRASHED' } });
    expect(b.digest in state.failed).toBe(true);
  });

  test('after an orderly stop does not count that load', () => {
    const { state, name } = run(at('TRIAL', {}, { loads: 3 }), EVENTS.stopped);
    expect([name, state.journal?.loads]).toEqual(['TRIAL', 2]);
  });

  test('repairs a committed slot that could not be started', () => {
    expect(run(at('COMMITTED', { active: a }), EVENTS.started).name).toBe('OFFERED');
  });
});

describe('a withdrawn release', () => {
  const gone = (...digests: string[]): InstallEvent => ({ kind: 'withdrawn', digests });

  test('is left for the previous one, which is only tested and taken over', () => {
    let { state, name } = run(at('COMMITTED'), gone(b.digest));
    expect(name).toBe('OFFERED');
    expect(state.journal).toMatchObject({ release: a, left: b.digest, error: { code: 'RELEASE_WITHDRAWN' } });
    const way: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      const step = run(state, { kind: 'done', present: true, plan: { mode: 'hot', expectedGapMs: 0 } });
      state = step.state;
      way.push(`${step.name} ${step.does.at(-1)}`);
    }
    expect(way).toEqual([
      'PREFLIGHT preflight',
      'VERIFYING verify',
      'STAGED proceed',
      'SELF_TEST self-test',
      'TRIAL take-over',
    ]);
    const end = run(state, EVENTS.judged).state;
    expect(end).toMatchObject({
      active: a,
      previous: null,
      journal: { phase: 'COMMITTED', error: { code: 'RELEASE_WITHDRAWN' } },
    });
    expect(run(end, EVENTS.started)).toMatchObject({ name: 'COMMITTED' });
    expect(run(end, gone(b.digest)).does).toEqual([]);
  });

  test('is left for what came with the agent when there is no other, and kept when there is nothing', () => {
    const alone = at('COMMITTED', { previous: null });
    expect(run(alone, gone(b.digest)).state.journal).toMatchObject({ release: bundled });
    const stays = run(alone, gone(b.digest), { bundled: null });
    expect(stays.state).toMatchObject({
      active: b,
      journal: { phase: 'COMMITTED', error: { code: 'RELEASE_WITHDRAWN' } },
    });
    expect(run(stays.state, gone(b.digest), { bundled: null }).does).toEqual([]);
    const both = run(at('COMMITTED'), gone(b.digest, a.digest)).state.journal;
    expect(both?.release).toEqual(bundled);
    const idle = run(at('IDLE', { previous: null }), gone(a.digest), { bundled: null });
    expect(idle.state.journal?.error?.code).toBe('RELEASE_WITHDRAWN');
  });

  test('on its way ends there; one that runs while another comes waits for that', () => {
    expect(run(at('DOWNLOADING'), gone(b.digest)).state.journal).toMatchObject({
      phase: 'FAILED',
      error: { code: 'RELEASE_WITHDRAWN' },
    });
    expect(run(at('DOWNLOADING'), gone(a.digest)).does).toEqual([]);
    expect(run(at('FAILED'), gone(a.digest)).does).toEqual([]);
    const final = at(
      'FAILED',
      { failed: { [b.digest]: { code: 'GOLDEN_MISMATCH', generation: 7 } } },
      { retryAt: undefined },
    );
    expect(run(final, gone(a.digest)).state.journal).toMatchObject({ release: c, left: a.digest });
  });

  test('that cannot be left is not tried for ever', () => {
    const left = { release: a, left: b.digest, error: { code: 'GOLDEN_MISMATCH' as const, message: '' } };
    const tried = at('FAILED', { active: b, previous: a }, { ...left, retryAt: undefined });
    expect(run(tried, gone(b.digest)).state.journal?.release).toEqual(bundled);
    expect(run(tried, gone(b.digest), { bundled: null }).state.journal).toMatchObject({
      phase: 'FAILED',
      error: { code: 'RELEASE_WITHDRAWN' },
    });
  });
});
