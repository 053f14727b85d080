import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGatePolicy } from './gate-policy.js';
import { holds, limitFor, parseRequirement, printRequirement } from './gate-requirement.js';

const policy = (over: object = {}) => ({
  schema: 'vigie.gate/1',
  name: 'edge',
  certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi5-8g'] }],
  rules: [{ require: 'fps > 10' }],
  ...over,
});
const code = (document: unknown) => {
  const parsed = parseGatePolicy(document);
  return parsed.ok ? 'ok' : parsed.code;
};

describe('requirements', () => {
  it('are read as they are written', () => {
    for (const [text, printed] of [
      ['fps > 10', 'fps > 10'],
      ['latencyMs.p95 < 100 ms', 'latencyMs.p95 < 100'],
      ['latencyMs.p95<0.1s', 'latencyMs.p95 < 100'],
      ['latencyMs.p95 ≤ 1.05 × champion', 'latencyMs.p95 <= 1.05 * champion'],
      ['latencyMs.decode.p99 <= champion * 2', 'latencyMs.decode.p99 <= 2 * champion'],
      ['ap >= champion - 0.01', 'ap >= champion - 0.01'],
      ['ap50.person >= 40 %', 'ap50.person >= 0.4'],
      ['memoryBytes <= 0.5*champion + 10 MiB', 'memoryBytes <= 0.5 * champion + 10485760'],
      ['goldenMismatches <= 0', 'goldenMismatches <= 0'],
      ['temperatureC < 80 °C', 'temperatureC < 80'],
    ]) {
      const parsed = parseRequirement(text);
      expect(parsed.ok ? printRequirement(parsed.requirement) : parsed, text).toBe(printed);
    }
  });

  it('are refused by cause', () => {
    for (const [text, expected] of [
      ['fps', 'GATE_REQUIREMENT_SYNTAX'],
      ['fps > ten', 'GATE_REQUIREMENT_SYNTAX'],
      ['fps > 10 and latencyMs.p95 < 5', 'GATE_REQUIREMENT_SYNTAX'],
      ['fps > 2 * champion * 3', 'GATE_REQUIREMENT_SYNTAX'],
      ['fps == 10', 'GATE_REQUIREMENT_SYNTAX'],
      ['latency.p95 < 100', 'GATE_METRIC_UNKNOWN'],
      ['latencyMs < 100', 'GATE_METRIC_UNKNOWN'],
      ['latencyMs.p42 < 100', 'GATE_METRIC_UNKNOWN'],
      ['constructor > 1', 'GATE_METRIC_UNKNOWN'],
      ['__proto__ > 1', 'GATE_METRIC_UNKNOWN'],
      ['fps > 10 ms', 'GATE_UNIT_MISMATCH'],
      ['fps < 10', 'GATE_DIRECTION'],
      ['latencyMs.p95 >= 0.9 * champion', 'GATE_DIRECTION'],
      ['ap > 40', 'GATE_LIMIT_IMPOSSIBLE'],
      ['ap > 1', 'GATE_LIMIT_IMPOSSIBLE'],
      ['fps > 1e999', 'GATE_LIMIT_IMPOSSIBLE'],
      ['latencyMs.p95 < 0', 'GATE_LIMIT_IMPOSSIBLE'],
      ['latencyMs.p95 < 0 * champion', 'GATE_LIMIT_IMPOSSIBLE'],
    ]) {
      const parsed = parseRequirement(text);
      expect(parsed.ok ? printRequirement(parsed.requirement) : parsed.code, text).toBe(expected);
    }
  });

  it('print to what reads back the same, and never let a not-a-number hold', () => {
    const limit = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        limit,
        fc.constantFrom('fps >', 'fps >=', 'latencyMs.p95 <', 'memoryBytes <='),
        fc.boolean(),
        (x, head, relative) => {
          const parsed = parseRequirement(`${head} ${x}${relative ? ' * champion' : ''}`);
          if (!parsed.ok) throw new Error(parsed.detail);
          const again = parseRequirement(printRequirement(parsed.requirement));
          expect(again).toEqual(parsed);
          expect(limitFor(parsed.requirement, 2)).toBe(relative ? 2 * x : x);
          expect(holds(Number.NaN, parsed.requirement.operator, x)).toBe(false);
        },
      ),
    );
  });
});

describe('policies', () => {
  it('get their defaults', () => {
    const parsed = parseGatePolicy(policy());
    expect(parsed.ok && parsed.policy.rules[0]).toEqual({
      require: 'fps > 10',
      minSamples: 1,
      take: 'newest',
      minPairs: 10,
      withoutChampion: 'inconclusive',
    });
  });

  it('are refused by cause, naming the field', () => {
    expect(code(policy())).toBe('ok');
    expect(code(null)).toBe('GATE_SHAPE');
    expect(code('fps > 10')).toBe('GATE_SHAPE');
    expect(code(policy({ rules: [] }))).toBe('GATE_SHAPE');
    expect(code(policy({ certifies: [] }))).toBe('GATE_SHAPE');
    expect(code(policy({ name: 'Edge Gate' }))).toBe('GATE_SHAPE');
    expect(code(policy({ rule: [] }))).toBe('GATE_UNKNOWN_KEY');
    expect(code(policy({ rules: [{ require: 'fps > 10', minSample: 3 }] }))).toBe('GATE_UNKNOWN_KEY');
    expect(code(policy({ rules: [{ require: 'fps > 10' }, { require: 'fps > 10' }] }))).toBe('GATE_RULE_TWICE');
    expect(code(policy({ rules: [{ require: 'fps > 10', withoutChampion: 'pass' }] }))).toBe('GATE_CHAMPION_UNUSED');
    expect(code(policy({ rules: [{ require: 'fps > 10', confidence: 0.9, take: 'worst' }] }))).toBe(
      'GATE_CONFIDENCE_OF_WORST',
    );
    expect(code(policy({ rules: [{ require: 'fps > 10', confidence: 95 }] }))).toBe('GATE_SHAPE');
    expect(code(policy({ metrics: { fps: { direction: 'lower' } } }))).toBe('GATE_METRIC_NAME');
    expect(code(policy({ metrics: { drift: { direction: 'lower' } }, rules: [{ require: 'drift < 3' }] }))).toBe('ok');
    const entry = { evidence: {}, hardwareClasses: ['rpi5-8g'] };
    expect(code(policy({ certifies: [entry, entry] }))).toBe('GATE_CLASS_TWICE');
    expect(parseGatePolicy(policy({ rules: [{ require: 'fps > 10' }, { require: 'fsp > 10' }] }))).toMatchObject({
      code: 'GATE_METRIC_UNKNOWN',
      field: 'rules.1.require',
    });
  });

  it('never throw, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (anything, text) => {
        parseGatePolicy(anything);
        parseGatePolicy(policy({ rules: [{ require: text }], metrics: anything }));
      }),
      { numRuns: 500 },
    );
  });
});
