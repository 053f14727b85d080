import { describe, expect, it } from 'vitest';
import type { DecoderInput } from '../decoder.js';
import { WHOLE_FRAME } from '../frame.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';
import { toPixels, xywh } from './yolo.inverse.js';
import { type OnLevel, yoloxCell, yoloxPredictions } from './yolox.inverse.js';
import { makeYoloxDecoder } from './yolox.js';

const LABELS = ['person', 'car', 'dog'];
const INPUT: DecoderInput = { width: 416, height: 320, labels: LABELS, thresholds: [0.25, 0.25, 0.25] };
const SPEC = { type: 'yolox', outputs: { predictions: 'output' } } as const;

function forScenes(
  strides: readonly number[],
  test: (objects: OnLevel[], content: ReturnType<typeof randomContent>, split: number) => void,
): void {
  for (let seed = 1; seed <= 60; seed++) {
    const next = seeded(seed);
    const content = randomContent(next);
    const cells = new Map<number, OnLevel>();
    for (const scene of randomScene(next, 12, LABELS.length)) {
      const object = { ...scene, level: Math.floor(next() * strides.length) };
      cells.set(yoloxCell(object, strides, INPUT, content).location, object);
    }
    test([...cells.values()], content, 0.1 + 0.8 * next());
  }
}

describe('makeYoloxDecoder', () => {
  it.each([[[8, 16, 32]], [[8, 16]], [[16]]])('gives back any objects on strides %j', (strides) => {
    const decoder = makeYoloxDecoder({ ...SPEC, strides }, INPUT);
    forScenes(strides, (objects, content, split) => {
      const output = yoloxPredictions(objects, strides, INPUT, content, split);
      expect(decoder.outputs[0].dims).toEqual(output.dims);
      expect(difference(decoder.decode({ output }, content), objects)).toBeLessThan(1e-5);
    });
  });

  it('takes boxes that the model decoded, and logits', () => {
    const strides = [8, 16, 32];
    const decoder = makeYoloxDecoder({ ...SPEC, decoded: true, activation: 'sigmoid' }, INPUT);
    forScenes(strides, (objects, content, split) => {
      const output = yoloxPredictions(objects, strides, INPUT, content, split);
      for (const object of objects) {
        const { location } = yoloxCell(object, strides, INPUT, content);
        output.data.set(xywh(toPixels(object, INPUT, content)), location * 8);
      }
      for (let i = 0; i < output.data.length; i++) {
        if (i % 8 >= 4) output.data[i] = Math.log(output.data[i] / (1 - output.data[i]));
      }
      expect(difference(decoder.decode({ output }, content), objects)).toBeLessThan(1e-5);
    });
  });

  it('adds the cell and multiplies by the stride, with exponential sizes', () => {
    // 64 x 32 with stride 32: two cells. The right one: centre (0.25 + 1, 0.5 + 0) * 32 = 40, 16; size 32 e^0, 16.
    const output = tensor([1, 2, 6], [0, 0, 0, 0, 0.2, 1, 0.25, 0.5, 0, Math.log(0.5), 0.8, 0.5]);
    const input = { width: 64, height: 32, labels: ['person'], thresholds: [0.3] };
    const [found, ...more] = makeYoloxDecoder({ ...SPEC, strides: [32] }, input).decode({ output }, WHOLE_FRAME);
    expect(found.score).toBeCloseTo(0.4, 6);
    for (const [side, value] of [24 / 64, 8 / 32, 56 / 64, 24 / 32].entries()) {
      expect(found.box[side]).toBeCloseTo(value, 6);
    }
    expect(more).toEqual([]);
  });

  it('leaves out what is no number, and clips what is too large', () => {
    const decoder = makeYoloxDecoder(SPEC, { ...INPUT, thresholds: [0, 0, 0] });
    const output = tensor(decoder.outputs[0].dims as number[]);
    output.data.fill(Number.NaN);
    expect(decoder.decode({ output }, WHOLE_FRAME)).toEqual([]);
    output.data.fill(1000);
    for (const { score, box } of decoder.decode({ output }, WHOLE_FRAME)) {
      expect([score, ...box]).toEqual([1, 0, 0, 1, 1]);
    }
  });
});
