import { describe, expect, it } from 'vitest';
import { type NeedsView, needsText } from './gate-needs.js';

type Rule = NeedsView['gates'][number]['classes'][number]['rules'][number];

const rule = (changes: Partial<Rule>): Rule => ({
  ...{ require: 'fps > 10', metric: 'fps', verdict: 'inconclusive', code: 'NO_EVIDENCE', why: 'no result' },
  ...{ evidence: {}, minSamples: 1 },
  ...changes,
});
const view = (state: string, rules: Rule[], changes: Partial<NeedsView> = {}): NeedsView => ({
  release: { name: 'm', version: '1.0.0', state },
  decide: true,
  certified: [],
  gates: [{ policy: 'g', verdict: 'x', classes: [{ hardwareClasses: ['a', 'b'], verdict: 'x', rules }] }],
  ...changes,
});
const steps = (...rules: Rule[]) => needsText(view('candidate', rules), 'm.vigie').split('Next:\n')[1];

describe('needsText', () => {
  it('says nothing of what boards may have, and of what no gate decides', () => {
    expect(needsText(view('released', [rule({})]))).toBe('');
    expect(needsText(view('withdrawn', [rule({})]))).toBe('');
    expect(needsText(view('candidate', [rule({})], { decide: false }))).toBe('');
    expect(needsText(view('approved', []))).toContain('  vigie gate release m@1.0.0\n');
  });

  it('names the command that brings what each rule waits for, once', () => {
    const run = '  vigie-bench run m.vigie --json > result.json\n  vigie benchmark post result.json\n';
    expect(steps(rule({}), rule({ metric: 'latencyMs.p95' }))).toBe(run);
    expect(steps(rule({ minSamples: 900 }))).toContain('run m.vigie --samples 900 --json');
    const accuracy = '  vigie-models evaluate m.vigie --dataset DIR --benchmark accuracy.json\n';
    for (const metric of ['ap', 'ap50.person', 'ar10', 'ar100', 'accuracy', 'f1.cat'])
      expect(steps(rule({ metric }))).toContain(accuracy);
    for (const metric of ['apx', 'fps', 'memoryBytes']) expect(steps(rule({ metric }))).not.toContain(accuracy);
    expect(steps(rule({ evidence: { hardwareClass: ['pi'] } }))).toContain('benchmark lab m@1.0.0 --class pi ');
    expect(steps(rule({ evidence: { source: ['lab'] } }))).toContain('benchmark lab m@1.0.0 ');
    expect(steps(rule({ evidence: { benchmark: ['own'] } }))).toContain('a result of the benchmark own');
    expect(steps(rule({ code: 'NO_CHAMPION' }))).toContain('vigie release promote');
    expect(steps(rule({ verdict: 'pass' }))).toBeUndefined();
  });

  it('offers the exception where a rule is broken, and quotes what a shell would take apart', () => {
    expect(needsText(view('benchmarked', [rule({ verdict: 'fail' })]))).toContain('vigie gate override m@1.0.0 a b ');
    expect(needsText(view('candidate', [rule({})]), "my dog's.vigie")).toContain("run 'my dog'\\''s.vigie' --json");
  });
});
