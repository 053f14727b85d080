import { createTask } from 'node-cron';
import { describe, expect, it } from 'vitest';
import { specProblem } from './check.js';
import { judgeComparison } from './cohorts.js';
import { figuresOf, judgeWave } from './judge.js';
import { judgeGates } from './live-gates.js';
import type { BoardFigures, WaveTally } from './model.js';
import { type PlannedBoard, plan } from './plan.js';
import { rehearse } from './rehearsal.js';
import { cronProblem, nextRun } from './schedule.js';
import { type Comparison, completeSpec, type LiveGate, type RolloutRequest } from './spec.js';
import { isOpen } from './windows.js';

const request = (changes: Partial<RolloutRequest> = {}): RolloutRequest => ({
  release: { name: 'm', version: '2.0.0' },
  selector: {},
  ...changes,
});
const at = (time: string) => Date.parse(time);

describe('a rollout is judged when it is made', () => {
  const problem = (changes: Partial<RolloutRequest>) => specProblem(completeSpec(request(changes)));

  it('takes the standard waves', () => {
    expect(problem({})).toBeNull();
    expect(completeSpec(request()).waves.map(({ name, errors }) => [name, errors.share])).toEqual([
      ['canary', 0.1],
      ['half', 0.1],
      ['all', 0.1],
    ]);
  });

  it('names the field that is wrong', () => {
    const all = { name: 'all', size: { share: 1 } };
    expect(problem({ waves: [{ name: 'a', size: { count: 3 } }] })).toContain('waves[0].size: the last wave');
    expect(problem({ waves: [all, all] })).toContain('waves[1].name');
    expect(
      problem({ waves: [{ name: 'a', size: { share: 0.5 } }, { name: 'b', size: { share: 0.5 } }, all] }),
    ).toContain('waves[1].size.share');
    expect(problem({ gates: [{ metric: 'fps', of: 'ratio' }] })).toContain('gates[0]');
    expect(problem({ gates: [{ metric: 'fps', of: 'ratio', min: 2, max: 1 }] })).toContain('above max');
    expect(problem({ windows: [{ from: '01:00', to: '02:00', timeZone: 'Mars/Olympus' }] })).toContain(
      'windows[0].timeZone',
    );
    expect(problem({ schedule: { cron: '61 2 * * *' } })).toContain('schedule.cron');
    expect(problem({ schedule: { startAt: '2026-13-41T00:00:00.000Z' } })).toContain('schedule.startAt');
    expect(problem({ order: 'listed' })).toContain('order');
    expect(problem({ shadow: { outcome: 'report' } })).toContain('shadow.outcome');
    const itself = { release: { name: 'm', version: '2.0.0' }, metric: 'fps', better: 'higher' } as const;
    expect(problem({ comparison: itself })).toContain('comparison.release');
  });
});

describe('plan', () => {
  const board = (id: string, hardwareClass = 'pi5'): PlannedBoard => ({
    id,
    hardwareClass,
    tags: [],
    running: null,
    base: null,
    previous: null,
  });
  const boards = Array.from({ length: 20 }, (_, index) => board(`b${index}`, index === 19 ? 'old' : 'pi5'));
  const targets = {
    A: { release: { name: 'm', version: '2.0.0', digest: 'a' }, classes: ['pi5'], available: true },
    B: null,
  };
  const waves = [
    { name: 'canary', size: { count: 2 } },
    { name: 'half', size: { share: 0.5 } },
    { name: 'all', size: { share: 1 } },
  ];

  it('fills waves by count and by share of all, in a stable order, without boards of classes that are not certified', () => {
    const members = plan(completeSpec(request({ waves })), boards, targets, { winner: null });
    const certified = members.filter(({ state }) => state === 'waiting');
    expect([0, 1, 2].map((wave) => certified.filter((one) => one.wave === wave).length)).toEqual([2, 8, 9]);
    expect(members.filter(({ state }) => state === 'not-certified').map(({ deviceId }) => deviceId)).toEqual(['b19']);
    const again = plan(completeSpec(request({ waves })), boards.toReversed(), targets, { winner: null });
    expect(again).toEqual(members);
    const salted = plan(completeSpec(request({ waves, salt: 'x' })), boards, targets, { winner: null });
    expect(salted.map(({ deviceId }) => deviceId)).not.toEqual(members.map(({ deviceId }) => deviceId));
  });

  it('keeps to a list', () => {
    const selector = { devices: ['b7', 'b3', 'b5'] };
    const members = plan(completeSpec(request({ selector, order: 'listed' })), boards, targets, { winner: null });
    expect(members.map(({ deviceId }) => deviceId)).toEqual(['b7', 'b3', 'b5']);
  });
});

describe('maintenance windows', () => {
  const night = [{ days: ['mon' as const], from: '22:00', to: '03:00' }];

  it('are kept on the clock of the board', () => {
    const office = [{ from: '09:00', to: '17:00' }];
    expect(isOpen([], null, 0)).toBe(true);
    expect(isOpen(office, 'Europe/Paris', at('2026-07-06T07:00:00Z'))).toBe(true);
    expect(isOpen(office, 'UTC', at('2026-07-06T07:00:00Z'))).toBe(false);
    expect(isOpen(office, null, at('2026-07-06T16:59:59Z'))).toBe(true);
    expect(isOpen(office, null, at('2026-07-06T17:00:00Z'))).toBe(false);
    expect(isOpen([{ ...office[0], timeZone: 'Asia/Kolkata' }], 'UTC', at('2026-07-06T03:30:00Z'))).toBe(true);
  });

  it('that go over midnight belong to the day on which they begin', () => {
    expect(isOpen(night, 'UTC', at('2026-01-05T23:00:00Z'))).toBe(true);
    expect(isOpen(night, 'UTC', at('2026-01-06T02:59:00Z'))).toBe(true);
    expect(isOpen(night, 'UTC', at('2026-01-06T23:00:00Z'))).toBe(false);
    expect(isOpen(night, 'UTC', at('2026-01-05T02:00:00Z'))).toBe(false);
  });

  it('survive the change of the clocks', () => {
    const early = [{ from: '02:00', to: '03:00' }];
    // On 29 March 2026 Paris has no time between 02:00 and 03:00; on 25 October it has it twice.
    expect(isOpen(early, 'Europe/Paris', at('2026-03-29T01:30:00Z'))).toBe(false);
    expect(isOpen(early, 'Europe/Paris', at('2026-10-25T00:30:00Z'))).toBe(true);
    expect(isOpen(early, 'Europe/Paris', at('2026-10-25T01:30:00Z'))).toBe(true);
  });
});

describe('schedules', () => {
  it.each([
    ['0 2 * * sat', 'Europe/Paris', '2026-07-01T00:00:00Z', '2026-07-04T00:00:00Z'],
    ['*/20 9-10 1 * *', 'Asia/Kolkata', '2026-07-01T04:05:00Z', '2026-07-01T04:10:00Z'],
    ['30 4 L 2 *', 'UTC', '2026-03-01T00:00:00Z', '2027-02-28T04:30:00Z'],
    ['15 3 29 2 *', 'America/New_York', '2026-03-01T00:00:00Z', '2028-02-29T08:15:00Z'],
  ])('%s in %s after %s is %s', (line, zone, after, expected) => {
    const next = nextRun(line, zone, at(after));
    expect(next && new Date(next).toISOString()).toBe(new Date(expected).toISOString());
    const task = createTask(line, () => undefined, { timezone: zone });
    expect(task.match(new Date(next ?? 0))).toBe(true);
    task.destroy();
  });

  it('never come, or are no cron', () => {
    expect(nextRun('0 0 29 2 mon', 'UTC', at('2026-01-01T00:00:00Z'))).toBeNull();
    expect(cronProblem('0 2 * *')).toContain('five fields');
    expect(cronProblem('0 25 * * *')).not.toBeNull();
    expect(cronProblem('0 2 * * 1-5')).toBeNull();
  });
});

describe('judgeWave', () => {
  const [rule] = completeSpec(
    request({ waves: [{ name: 'all', size: { share: 1 }, errors: { share: 0.2, minimum: 5 }, successShare: 0.9 }] }),
  ).waves;
  const judge = (states: WaveTally['states'], more: Partial<WaveTally> = {}, pending = 0, late = false) =>
    judgeWave(rule, figuresOf({ states, out: 0, coming: 0, unreachable: 0, silent: 0, ...more }), pending, late);

  it('counts success over boards that were reached; the others stand apart', () => {
    expect(judge({ succeeded: 5, waiting: 5 }, { unreachable: 5 }).kind).toBe('settled');
    expect(judge({ succeeded: 5, deferred: 2, declined: 3 }).kind).toBe('settled');
    expect(judge({ succeeded: 4, waiting: 6 }, { unreachable: 6 }).kind).toBe('go-on');
    expect(judge({ succeeded: 4, waiting: 6 }, { unreachable: 6 }, 0, true)).toMatchObject({
      kind: 'inconclusive',
      reason: { code: 'TOO_FEW_REACHED' },
    });
    expect(judge({ 'not-certified': 3, 'taken-over': 2 }).kind).toBe('settled');
  });

  it('waits while anybody is at work or may come', () => {
    expect(judge({ succeeded: 9, offered: 1 }, { out: 1 }).kind).toBe('go-on');
    expect(judge({ succeeded: 9, waiting: 1 }, {}, 1).kind).toBe('go-on');
    expect(judge({ succeeded: 9, waiting: 1 }, {}, 1, true).kind).toBe('settled');
  });

  it('breaks by a share only from so many judged boards on, or when no more come', () => {
    expect(judge({ failed: 1, waiting: 9 }, {}, 9).kind).toBe('go-on');
    expect(judge({ failed: 2, succeeded: 3, waiting: 5 }, {}, 5)).toMatchObject({
      kind: 'breach',
      reason: { code: 'TOO_MANY_ERRORS' },
    });
    expect(judge({ failed: 1 }).kind).toBe('breach');
  });

  it('asks where boards were only slow', () => {
    expect(judge({ succeeded: 8, 'timed-out': 2 })).toMatchObject({
      kind: 'inconclusive',
      reason: { code: 'TOO_FEW_SUCCEEDED' },
    });
    expect(judge({ succeeded: 16, failed: 3, 'timed-out': 1 })).toMatchObject({
      kind: 'breach',
      reason: { code: 'TOO_FEW_SUCCEEDED' },
    });
  });
});

describe('live figures', () => {
  const boards = (ratios: readonly number[], cohort: 'A' | 'B' = 'A'): BoardFigures[] =>
    ratios.map((ratio, index) => ({
      deviceId: `${cohort}${index}`,
      cohort,
      before: { fps: 10 + index },
      after: { fps: (10 + index) * ratio },
    }));
  const gate: LiveGate = { metric: 'fps', of: 'ratio', min: 0.9, confidence: 0.95, minDevices: 3 };
  const verdict = (ratios: readonly number[], changes: Partial<LiveGate> = {}) =>
    judgeGates([{ ...gate, ...changes }], boards(ratios)).results[0].verdict;

  it('are paired, board by board', () => {
    expect(verdict([1, 1.01, 0.99, 1])).toBe('pass');
    expect(verdict([0.5, 0.51, 0.52, 0.5])).toBe('fail');
    expect(verdict([0.7, 1.2, 0.9, 0.9])).toBe('inconclusive');
  });

  it('say nothing without data', () => {
    expect(verdict([1, 1])).toBe('inconclusive');
    expect(judgeGates([gate], []).verdict.kind).toBe('inconclusive');
    expect(verdict([1], { minDevices: 1 })).toBe('pass');
  });

  it('are judged for each of two releases by itself, so that a good one hides no bad one', () => {
    const both = [...boards([1, 1.01, 0.99, 1]), ...boards([0.5, 0.51, 0.52, 0.5], 'B')];
    expect(judgeGates([gate], both).results.map(({ cohort, verdict }) => [cohort, verdict])).toEqual([
      [null, 'inconclusive'],
    ]);
    const { results, verdict } = judgeGates([gate], both, true);
    expect(results.map(({ cohort, verdict }) => [cohort, verdict])).toEqual([
      ['A', 'pass'],
      ['B', 'fail'],
    ]);
    expect(verdict).toMatchObject({ kind: 'breach', reason: { text: expect.stringContaining('release B: fps') } });
    expect(judgeGates([gate], boards([1, 1, 1]), true).results).toHaveLength(1);
  });

  it('choose a winner only where the confidence does', () => {
    const comparison: Comparison = {
      ...{ release: { name: 'm', version: '3.0.0' }, share: 0.5, metric: 'fps', better: 'higher', seconds: 0 },
      ...{ confidence: 0.95, minDevices: 3, promote: 'winner' },
    };
    const compare = (a: readonly number[], b: readonly number[]) =>
      judgeComparison(comparison, [...boards(a), ...boards(b, 'B')]);
    expect(compare([1, 1.01, 0.99], [1.3, 1.29, 1.31]).winner).toBe('B');
    expect(compare([1.3, 1.29, 1.31], [1, 1.01, 0.99]).winner).toBe('A');
    expect(compare([1, 1.1, 0.9], [1, 1.11, 0.91]).winner).toBeNull();
    expect(compare([1, 1], [2, 2, 2]).winner).toBeNull();
  });
});

describe('rehearse', () => {
  const spec = completeSpec(request({ concurrency: 2, waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 30 }] }));
  const boards = Array.from({ length: 4 }, (_, index) => ({
    id: `b${index}`,
    wave: 0,
    hardwareClass: 'pi5',
    online: index > 0,
    offlineSeconds: index > 0 ? null : 3 * 86_400,
    missingBytes: 100,
  }));

  it('says nothing about time without history', () => {
    const found = rehearse(spec, boards, [], () => 0.5);
    expect([found.samples, found.seconds, found.successShare]).toEqual([0, null, null]);
    expect(found.notes[0]).toContain('not known');
    expect(found.bytes).toEqual({ low: 0, likely: 300, high: 400 });
    expect(found.stragglers).toEqual([{ device: 'b0', wave: 'all', reasons: ['is offline for 3 days'] }]);
  });

  it('lays past durations on the places that there are', () => {
    const history = [{ deviceId: 'b1', hardwareClass: 'pi5', seconds: 60, succeeded: true }];
    // Three online boards on two places: two rounds of a minute, then the soak.
    expect(rehearse(spec, boards, history, () => 0).seconds).toEqual({ low: 150, likely: 150, high: 150 });
  });
});
