import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { classicDetr, rtDetr } from './detr.inverse.js';
import { type DetrDecoder, makeDetrDecoder } from './detr.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';

const LABELS = ['person', 'car', 'dog'];
const INPUT = { width: 640, height: 640, labels: LABELS, thresholds: [0.25, 0.25, 0.25] };
const RT: DetrDecoder = { type: 'detr', outputs: { logits: 'pred_logits', boxes: 'pred_boxes' } };
const CLASSIC: DetrDecoder = { ...RT, activation: 'softmax' };

describe('makeDetrDecoder', () => {
  it('gives back any objects, best first, with the sigmoid and with the softmax', () => {
    const focal = makeDetrDecoder(RT, INPUT);
    const softmax = makeDetrDecoder(CLASSIC, INPUT);
    for (let seed = 1; seed <= 100; seed++) {
      const next = seeded(seed);
      const content = randomContent(next);
      const objects = randomScene(next, 15, LABELS.length).map((object, index) => ({ ...object, query: 7 * index }));
      const found = focal.decode(rtDetr(objects, 300, 3, content), content);
      expect(difference(found, objects)).toBeLessThan(1e-5);
      expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
      expect(difference(softmax.decode(classicDetr(objects, 110, 3, content), content), objects)).toBeLessThan(1e-5);
    }
    expect([focal.suppress, softmax.suppress]).toEqual([false, false]);
    expect(softmax.outputs[0].dims).toEqual([1, null, 4]);
  });

  it('lets one query give several classes with the sigmoid, and the best one with the softmax', () => {
    const outputs = (columns: number, row: number[]) => ({
      pred_logits: tensor([1, 1, columns], row),
      pred_boxes: tensor([1, 1, 4], [0.5, 0.5, 0.2, 0.4]),
    });
    const focal = makeDetrDecoder(RT, INPUT).decode(outputs(3, [0, 2, -5]), WHOLE_FRAME);
    expect(focal.map(({ label, score }) => `${label} ${score.toFixed(3)}`)).toEqual(['car 0.881', 'person 0.500']);
    for (const [side, value] of [0.4, 0.3, 0.6, 0.7].entries()) expect(focal[0].box[side]).toBeCloseTo(value, 6);
    const classic = makeDetrDecoder(CLASSIC, INPUT).decode(outputs(4, [1, 1.5, 0, 1]), WHOLE_FRAME);
    const sum = Math.exp(1) + Math.exp(1.5) + 1 + Math.exp(1);
    expect(classic).toHaveLength(1);
    expect(classic[0]).toMatchObject({ label: 'car' });
    expect(classic[0].score).toBeCloseTo(Math.exp(1.5) / sum, 6);
  });

  it('keeps topK of all queries and classes', () => {
    const objects = randomScene(seeded(5), 20, 3).map((object, query) => ({ ...object, query }));
    const found = makeDetrDecoder({ ...RT, topK: 4 }, INPUT).decode(rtDetr(objects, 20, 3, WHOLE_FRAME), WHOLE_FRAME);
    expect(difference(found, objects.sort((a, b) => b.score - a.score).slice(0, 4))).toBeLessThan(1e-5);
  });

  it('shifts class ids that count from 1', () => {
    const decoder = makeDetrDecoder({ ...RT, labelOffset: -1 }, INPUT);
    expect(decoder.outputs[0].dims).toEqual([1, null, 4]);
    const outputs = { pred_logits: tensor([1, 1, 4], [9, -9, 3, -9]), pred_boxes: tensor([1, 1, 4], [0.5, 0.5, 1, 1]) };
    expect(decoder.decode(outputs, WHOLE_FRAME).map(({ label }) => label)).toEqual(['car']);
  });

  it('leaves out what is no number', () => {
    for (const spec of [RT, CLASSIC]) {
      const decoder = makeDetrDecoder(spec, { ...INPUT, thresholds: [0, 0, 0] });
      const columns = spec.activation === 'softmax' ? 4 : 3;
      const values = tensor([1, 9, columns], new Float32Array(9 * columns).fill(Number.NaN));
      const boxes = tensor([1, 9, 4], new Float32Array(36).fill(0.5));
      expect(decoder.decode({ pred_logits: values, pred_boxes: boxes }, WHOLE_FRAME)).toEqual([]);
      boxes.data.fill(Number.NaN);
      values.data.fill(0);
      expect(decoder.decode({ pred_logits: values, pred_boxes: boxes }, WHOLE_FRAME)).toEqual([]);
    }
  });
});
