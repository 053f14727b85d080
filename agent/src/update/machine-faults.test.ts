import { describe, expect, test } from 'vitest';
import { a, at, b, bundled, c, EVENTS, run } from '../../test/machine-states.js';
import { FAULTS } from './faults.js';
import { ENDS, type JournalEntry } from './journal.js';
import { stateName } from './machine.js';
import { STATES } from './machine-table.js';
import type { InstallEvent } from './machine-types.js';

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
