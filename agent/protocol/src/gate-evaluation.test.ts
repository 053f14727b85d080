import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BenchmarkResult } from './benchmark-result.js';
import { evaluateGate } from './gate-evaluation.js';
import type { Evidence } from './gate-evidence.js';
import { type GatePolicy, parseGatePolicy } from './gate-policy.js';

interface Over {
  arch?: string;
  hardwareClass?: string;
  cpu?: string;
  emulated?: boolean;
  at?: string;
  samples?: number;
  benchmark?: string;
  source?: Evidence['source'];
  throttled?: boolean;
  series?: BenchmarkResult['series'];
  pairing?: string;
}
let counter = 0;
function result(metrics: Record<string, number>, over: Over = {}): Evidence {
  const { arch = 'arm64', hardwareClass, cpu = 'Cortex-A76', emulated = false, source = 'ci', ...rest } = over;
  const platform = { arch, cpu, cores: 4, node: '20.20.2', runtime: 'ort', emulated };
  counter += 1;
  return {
    id: `r${counter}`,
    source,
    result: {
      ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: '2026-11-21T07:00:00.000Z', release: null, samples: 300 },
      ...rest,
      platform: { ...platform, ...(hardwareClass === undefined ? {} : { hardwareClass }) },
      metrics,
    },
  };
}
function gate(rules: object[], certifies?: object[]): GatePolicy {
  const parsed = parseGatePolicy({
    schema: 'vigie.gate/1',
    name: 'edge',
    certifies: certifies ?? [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi5-8g'] }],
    rules,
  });
  if (!parsed.ok) throw new Error(`${parsed.field}: ${parsed.detail}`);
  return parsed.policy;
}
const ORIGIN = gate([{ require: 'fps > 10' }, { require: 'latencyMs.p95 < 100 ms' }]);
const verdict = (policy: GatePolicy, evidence: Evidence[], champion: Evidence[] | null = null) =>
  evaluateGate(policy, evidence, champion);
const firstRule = (...given: Parameters<typeof verdict>) => verdict(...given).classes[0].rules[0];

describe("the origin's gate", () => {
  it('passes INT8 at 12.6 FPS and stops FP32 at 4.8 FPS', () => {
    const int8 = verdict(ORIGIN, [result({ fps: 12.6, 'latencyMs.p95': 79 })]);
    expect(int8).toMatchObject({ verdict: 'pass', classes: [{ hardwareClasses: ['rpi5-8g'], verdict: 'pass' }] });
    expect(int8.classes[0].measured).toEqual({ fps: 12.6, 'latencyMs.p95': 79 });
    const fp32 = verdict(ORIGIN, [result({ fps: 4.8, 'latencyMs.p95': 206 })]);
    expect(fp32.classes[0].rules.map(({ verdict, why }) => [verdict, why])).toEqual([
      ['fail', 'fps is 4.8 FPS on arm64, run, wanted > 10 FPS'],
      ['fail', 'latencyMs.p95 is 206 ms on arm64, run, wanted < 100 ms'],
    ]);
  });

  it('says nothing of other platforms, of emulated or hot ones, or without data', () => {
    const good = { fps: 12.6, 'latencyMs.p95': 79 };
    for (const evidence of [
      [],
      [result(good, { arch: 'x64' })],
      [result(good, { emulated: true })],
      [result(good, { throttled: true })],
      [result({ fps: 12.6 })],
      [result({ ...good, fps: Number.NaN })],
      [result({ ...good, fps: -1 })],
    ]) {
      expect(verdict(ORIGIN, evidence).verdict).toBe('inconclusive');
    }
  });
});

describe('evidence', () => {
  it('of an emulated machine counts for what is no time', () => {
    const policy = gate([{ require: 'ap50 >= 0.4', on: {} }]);
    expect(verdict(policy, [result({ ap50: 0.5 }, { emulated: true, arch: 'x64' })]).verdict).toBe('pass');
    expect(firstRule(policy, [result({ ap50: -1 })]).excluded).toMatchObject([{ code: 'METRIC_IMPOSSIBLE' }]);
  });

  it('certifies only the classes that its platform stands for', () => {
    const policy = gate(
      [{ require: 'fps > 10' }],
      [
        { evidence: { source: ['lab'], hardwareClass: ['rpi5-8g'] }, hardwareClasses: ['rpi5-8g'] },
        { evidence: { arch: ['x64'] }, hardwareClasses: ['generic-x64'] },
      ],
    );
    const evidence = [
      result({ fps: 30 }, { arch: 'x64' }),
      result({ fps: 20 }, { hardwareClass: 'rpi5-8g' }),
      result({ fps: 20 }, { hardwareClass: 'rpi4-2g', source: 'lab' }),
    ];
    const said = verdict(policy, evidence);
    expect(said.classes.map((one) => one.verdict)).toEqual(['inconclusive', 'pass']);
    expect(said.verdict).toBe('inconclusive');
    evidence.push(result({ fps: 9 }, { hardwareClass: 'rpi5-8g', source: 'lab' }));
    expect(verdict(policy, evidence)).toMatchObject({
      verdict: 'fail',
      classes: [{ verdict: 'fail' }, { verdict: 'pass' }],
    });
  });

  it('is the newest of a platform, the worst over platforms, or what the rule takes', () => {
    const old = result({ fps: 5 }, { at: '2026-11-20T07:00:00.000Z' });
    const fresh = result({ fps: 15 });
    expect(firstRule(gate([{ require: 'fps > 10' }]), [old, fresh])).toMatchObject({
      verdict: 'pass',
      excluded: [{ id: old.id, code: 'SUPERSEDED' }],
    });
    expect(verdict(gate([{ require: 'fps > 10', take: 'worst' }]), [old, fresh]).verdict).toBe('fail');
    const median = gate([{ require: 'fps > 10', take: 'median' }]);
    expect(firstRule(median, [old, fresh, result({ fps: 14 })]).comparisons[0].value).toBe(14);
    const slow = result({ fps: 5 }, { hardwareClass: 'rpi4-2g' });
    expect(verdict(gate([{ require: 'fps > 10' }]), [fresh, slow]).verdict).toBe('fail');
    const short = gate([{ require: 'fps > 10', minSamples: 100 }]);
    expect(firstRule(short, [result({ fps: 15 }, { samples: 99 })])).toMatchObject({
      code: 'NO_EVIDENCE',
      excluded: [{ code: 'TOO_FEW_SAMPLES' }],
    });
  });
});

describe('rules against the champion', () => {
  const policy = gate([{ require: 'latencyMs.p95 <= 1.05 * champion' }]);
  const at = (p95: number, over: Over = {}) => result({ 'latencyMs.p95': p95 }, over);

  it('hold the figures of the same processor against each other', () => {
    expect(verdict(policy, [at(84)], [at(80)]).verdict).toBe('pass');
    expect(firstRule(policy, [at(85)], [at(80)])).toMatchObject({
      verdict: 'fail',
      comparisons: [{ champion: 80, limit: 84 }],
    });
    expect(firstRule(policy, [at(10)], [at(80, { cpu: 'Cortex-A72' })]).code).toBe('CHAMPION_UNMEASURED');
    expect(firstRule(policy, [at(10)], []).code).toBe('CHAMPION_UNMEASURED');
    expect(firstRule(policy, [at(10)], null)).toMatchObject({ verdict: 'inconclusive', code: 'NO_CHAMPION' });
    const lenient = gate([{ require: 'latencyMs.p95 <= champion', withoutChampion: 'pass' }]);
    expect(firstRule(lenient, [at(10)], null).verdict).toBe('pass');
    expect(firstRule(lenient, [at(10)], []).verdict).toBe('inconclusive');
  });

  it('with a confidence want pairs, and an interval on one side', () => {
    const sure = gate([{ require: 'latencyMs.p95 <= 1.05 * champion', confidence: 0.95 }]);
    const frames = Array.from({ length: 200 }, (_, index) => 50 + ((index * 37) % 50));
    const scaled = (factor: number, noise = 0) =>
      frames.map((ms, index) => ms * (factor + noise * Math.sin(index * 12.9898)));
    const measured = (samples: number[], pairing?: string) => at(90, { series: { latencyMs: samples }, pairing });
    const champion = [measured(frames, 'clip')];
    expect(firstRule(sure, [measured(scaled(1.02), 'clip')], champion)).toMatchObject({
      verdict: 'pass',
      code: 'HOLDS',
    });
    expect(firstRule(sure, [measured(scaled(1.1), 'clip')], champion).verdict).toBe('fail');
    expect(firstRule(sure, [measured(scaled(1.05, 0.1), 'clip')], champion).code).toBe('INTERVAL_STRADDLES');
    expect(firstRule(sure, [measured(scaled(1), 'other')], champion).code).toBe('NOT_ENOUGH_PAIRS');
    expect(firstRule(sure, [measured(scaled(1))], [measured(frames)]).code).toBe('NOT_ENOUGH_PAIRS');
    expect(firstRule(sure, [measured(scaled(1).slice(1), 'clip')], champion).code).toBe('NOT_ENOUGH_PAIRS');
  });

  it('pair results of the same runs where there are no samples', () => {
    const sure = gate([{ require: 'fps >= 0.95 * champion', confidence: 0.9, minPairs: 5 }]);
    const runs = (fps: number) =>
      [1, 2, 3, 4, 5, 6].map((run) =>
        result({ fps: fps * (1 + run / 10) + (run % 2) * 0.01 }, { pairing: `run-${run}` }),
      );
    expect(firstRule(sure, runs(10), runs(10)).verdict).toBe('pass');
    expect(firstRule(sure, runs(8), runs(10))).toMatchObject({
      verdict: 'fail',
      comparisons: [{ interval: { of: 'ratio', n: 6 } }],
    });
    expect(firstRule(sure, runs(10).slice(2), runs(10)).code).toBe('NOT_ENOUGH_PAIRS');
  });

  it('with an offset judge the difference', () => {
    const sure = gate([{ require: 'ap >= champion - 0.02', confidence: 0.9, minPairs: 4 }]);
    const runs = (ap: number) =>
      [1, 2, 3, 4, 5].map((run) => result({ ap: ap + run / 1000 }, { pairing: `fold-${run}` }));
    expect(verdict(sure, runs(0.4), runs(0.41)).verdict).toBe('pass');
    expect(verdict(sure, runs(0.4), runs(0.43)).verdict).toBe('fail');
  });
});

describe('for any results', () => {
  const value = fc.oneof(
    fc.double({ min: 0, max: 200, noNaN: true }),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, 0),
  );
  const evidence = fc.array(
    fc.record({
      fps: value,
      latency: value,
      arch: fc.constantFrom('arm64', 'x64'),
      emulated: fc.boolean(),
      throttled: fc.boolean(),
      day: fc.integer({ min: 10, max: 28 }),
      series: fc.array(value, { maxLength: 20 }),
    }),
    { maxLength: 8 },
  );
  const make = (drawn: typeof evidence extends fc.Arbitrary<infer T> ? T : never): Evidence[] =>
    drawn.map(({ fps, latency, arch, emulated, throttled, day, series }, index) => ({
      ...result(
        { fps, 'latencyMs.p95': latency },
        {
          arch,
          emulated,
          throttled,
          at: `2026-11-${day}T07:00:00.000Z`,
          series: { latencyMs: series },
          pairing: 'clip',
        },
      ),
      id: `e${index}`,
    }));
  const policies = [
    ORIGIN,
    gate([{ require: 'fps > 10', take: 'worst' }]),
    gate([{ require: 'latencyMs.p95 <= 1.1 * champion' }, { require: 'fps > 1', take: 'median' }]),
    gate([{ require: 'latencyMs.p95 <= 1.1 * champion', confidence: 0.9 }]),
  ];

  it('a pass rests on measured, unemulated, cool results that hold, and order changes nothing', () => {
    fc.assert(
      fc.property(
        evidence,
        evidence,
        fc.constantFrom(...policies),
        fc.infiniteStream(fc.nat()),
        (drawn, other, policy, shuffle) => {
          const ours = make(drawn);
          const champion = make(other);
          const said = verdict(policy, ours, champion);
          const mixed = [...ours].map((one) => [shuffle.next().value, one] as const).sort((a, b) => a[0] - b[0]);
          expect(
            verdict(
              policy,
              mixed.map(([, one]) => one),
              champion,
            ),
          ).toEqual(said);
          for (const { rules } of said.classes) {
            for (const { comparisons, verdict: judged } of rules) {
              if (judged === 'pass') expect(comparisons.length).toBeGreaterThan(0);
              for (const id of comparisons.flatMap(({ used }) => used)) {
                const { platform, throttled } = ours.find((one) => one.id === id)!.result;
                expect([platform.arch, platform.emulated, throttled]).toEqual(['arm64', false, false]);
              }
              for (const { value: judgedValue } of comparisons) expect(Number.isFinite(judgedValue)).toBe(true);
            }
          }
          expect(JSON.parse(JSON.stringify(said))).toEqual(said);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a better result never turns a pass into a fail', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.double({ min: 0, max: 50, noNaN: true }),
        (fps, more) => {
          const before = verdict(ORIGIN, [result({ fps, 'latencyMs.p95': 50 })]).verdict;
          const after = verdict(ORIGIN, [result({ fps: fps + more, 'latencyMs.p95': 50 })]).verdict;
          if (before === 'pass') expect(after).toBe('pass');
        },
      ),
    );
  });
});
