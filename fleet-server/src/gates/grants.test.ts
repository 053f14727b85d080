import type { GateVerdict, Verdict } from '@vigie/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grantsOf, type StoredVerdict } from './grants.js';

const said = (id: number, policy: string, classes: Record<string, Verdict>): StoredVerdict => ({
  id,
  verdict: {
    policy,
    verdict: 'inconclusive',
    classes: Object.entries(classes).map(([name, verdict]) => ({
      ...{ hardwareClasses: name.split(' '), verdict, rules: [], measured: { [`${policy}.x`]: id } },
    })),
  } satisfies GateVerdict,
});
const classesOf = (...verdicts: StoredVerdict[]) => grantsOf(verdicts).map(({ hardwareClass }) => hardwareClass);

describe('grantsOf', () => {
  it('certifies a class when every policy that names it passes it', () => {
    const speed = said(1, 'speed', { 'rpi4-2g rpi5-8g': 'pass', 'generic-x64': 'inconclusive' });
    expect(classesOf(speed)).toEqual(['rpi4-2g', 'rpi5-8g']);
    expect(classesOf(speed, said(2, 'accuracy', { 'rpi4-2g': 'fail' }))).toEqual(['rpi5-8g']);
    expect(grantsOf([speed, said(2, 'accuracy', { 'rpi4-2g': 'pass' })])[0]).toEqual({
      ...{ hardwareClass: 'rpi4-2g', policy: 'accuracy,speed', verdicts: [1, 2] },
      measured: { 'speed.x': 1, 'accuracy.x': 2 },
    });
    expect(classesOf()).toEqual([]);
  });

  it('certifies every class only when nothing failed to pass', () => {
    expect(classesOf(said(1, 'any', { '*': 'pass' }))).toEqual(['*']);
    expect(classesOf(said(1, 'any', { '*': 'pass' }), said(2, 'own', { 'rpi4-2g': 'inconclusive' }))).toEqual([]);
    expect(classesOf(said(1, 'any', { '*': 'pass', 'rpi4-2g': 'fail', 'rpi5-8g': 'pass' }))).toEqual(['rpi5-8g']);
  });

  it('never grants more for one policy more', () => {
    const verdict = fc.constantFrom<Verdict>('pass', 'fail', 'inconclusive');
    const classes = fc.dictionary(fc.constantFrom('*', 'a', 'b', 'c'), verdict, { maxKeys: 4 });
    fc.assert(
      fc.property(fc.array(classes, { maxLength: 4 }), classes, (policies, another) => {
        const all = policies.map((one, index) => said(index + 1, `p${index}`, one));
        const before = classesOf(...all);
        const after = classesOf(...all, said(99, 'more', another));
        const judged = new Set(policies.flatMap((one) => Object.keys(one)));
        for (const name of after.filter((one) => judged.has(one))) expect(before).toContain(name);
        for (const name of after) {
          const opinions = [...policies, another].flatMap((one) => (name in one ? [one[name]] : []));
          expect(opinions.every((opinion) => opinion === 'pass')).toBe(true);
        }
      }),
    );
  });
});
