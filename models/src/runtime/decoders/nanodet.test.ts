import { describe, expect, it } from 'vitest';
import type { DecoderInput } from '../decoder.js';
import { WHOLE_FRAME } from '../frame.js';
import { focalOutputs, merged } from './nanodet.inverse.js';
import { makeNanodetDecoder, type NanodetDecoder, nanodetProblem, type PicodetDecoder } from './nanodet.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';

const LABELS = ['person', 'car', 'dog'];
// 416 / 64 is no whole number: the last map has 7 columns and 5 rows.
const INPUT: DecoderInput = { width: 416, height: 320, labels: LABELS, thresholds: [0.25, 0.25, 0.25] };
const M = [8, 16, 32];
const PLUS = [8, 16, 32, 64];

const named = (prefix: string, strides: readonly number[]): string[] => strides.map((stride) => `${prefix}${stride}`);
const split = (type: 'nanodet' | 'picodet', strides: number[]): NanodetDecoder | PicodetDecoder => ({
  type,
  strides,
  outputs: { scores: named('s', strides), distributions: named('d', strides) },
});

describe('makeNanodetDecoder', () => {
  it.each<[string, NanodetDecoder | PicodetDecoder, number, number]>([
    ['NanoDet-m, per stride', split('nanodet', M), 0.5, 7],
    ['NanoDet-m, merged', { type: 'nanodet', strides: M, outputs: { merged: 'out' } }, 0.5, 7],
    ['NanoDet-Plus, merged', { type: 'nanodet', strides: PLUS, outputs: { merged: 'out' } }, 0, 7],
    ['NanoDet-Plus, declared', { ...split('nanodet', PLUS), cellOffset: 0.5 }, 0.5, 7],
    ['PicoDet, per stride', split('picodet', PLUS), 0.5, 7],
    ['more bins', { ...split('nanodet', M), regMax: 16 }, 0.5, 16],
  ])('gives back any objects: %s', (_name, spec, cellOffset, regMax) => {
    const decoder = makeNanodetDecoder(spec, INPUT);
    let count = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const next = seeded(seed);
      const content = randomContent(next);
      const scene = randomScene(next, 16, LABELS.length);
      const head = { strides: spec.strides, regMax, cellOffset };
      const { placed, ...outputs } = focalOutputs(scene, head, INPUT, content);
      const tensors =
        spec.outputs.merged === undefined
          ? Object.fromEntries(
              spec.strides.flatMap((stride, level) => [
                [`s${stride}`, outputs.scores[level]],
                [`d${stride}`, outputs.distributions[level]],
              ]),
            )
          : { out: merged(outputs) };
      for (const { name, dims } of decoder.outputs) expect(tensors[name].dims).toEqual(dims);
      expect(difference(decoder.decode(tensors, content), placed)).toBeLessThan(1e-5);
      count += placed.length;
    }
    expect(count).toBeGreaterThan(300);
  });

  it('takes logits where the model has no sigmoid', () => {
    const next = seeded(7);
    const head = { strides: M, regMax: 7, cellOffset: 0.5 };
    const { placed, ...outputs } = focalOutputs(randomScene(next, 12, 3), head, INPUT, WHOLE_FRAME);
    for (const { data } of outputs.scores) {
      for (let i = 0; i < data.length; i++) data[i] = Math.log(data[i] / (1 - data[i]));
    }
    const spec: NanodetDecoder = { type: 'nanodet', strides: M, outputs: { merged: 'out' }, activation: 'sigmoid' };
    const found = makeNanodetDecoder(spec, INPUT).decode({ out: merged(outputs) }, WHOLE_FRAME);
    expect(difference(found, placed)).toBeLessThan(1e-5);
  });

  it('takes the mean of each distribution times the stride, from the corner or the centre of the cell', () => {
    // One cell of 32; two bins: softmax of (0, ln 3) is 1/4, 3/4, so every side is 0.75 * 32 = 24 away.
    const input = { width: 32, height: 32, labels: ['person'], thresholds: [0.3] };
    const sides = [0, 1, 2, 3].flatMap(() => [0, Math.log(3)]);
    const out = tensor([1, 1, 9], [0.5, ...sides]);
    const box = (cellOffset?: number) => {
      const spec: NanodetDecoder = {
        type: 'nanodet',
        strides: [32],
        regMax: 1,
        cellOffset,
        outputs: { merged: 'out' },
      };
      const wide = { x: -1, y: -1, width: 3, height: 3 };
      return makeNanodetDecoder(spec, input)
        .decode({ out }, wide)[0]
        .box.map((side) => Math.round((side * 3 - 1) * 32));
    };
    expect(box()).toEqual([-8, -8, 40, 40]);
    expect(box(0)).toEqual([-24, -24, 24, 24]);
  });

  it('leaves out what is no number or infinite', () => {
    const spec: NanodetDecoder = { type: 'nanodet', strides: M, outputs: { merged: 'out' } };
    const decoder = makeNanodetDecoder(spec, { ...INPUT, thresholds: [0, 0, 0] });
    const out = tensor(decoder.outputs[0].dims as number[]);
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      out.data.fill(value);
      expect(decoder.decode({ out }, WHOLE_FRAME)).toEqual([]);
    }
  });
});

describe('nanodetProblem', () => {
  it.each<[string, NanodetDecoder['outputs'], RegExp]>([
    ['no output', {}, /merged alone/],
    ['scores alone', { scores: named('s', M) }, /merged alone/],
    ['both forms', { merged: 'm', scores: named('s', M), distributions: named('d', M) }, /merged alone/],
    ['too few names', { scores: ['s'], distributions: named('d', M) }, /1 names for 3 strides/],
  ])('refuses %s', (_name, outputs, problem) => {
    expect(nanodetProblem({ type: 'nanodet', strides: M, outputs })?.problem).toMatch(problem);
  });

  it('accepts either form', () => {
    expect(nanodetProblem({ type: 'nanodet', strides: M, outputs: { merged: 'm' } })).toBeUndefined();
    expect(nanodetProblem(split('nanodet', M))).toBeUndefined();
  });
});
