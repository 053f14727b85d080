import { describe, expect, it } from 'vitest';
import type { Decoder, DecoderInput, OutputTensor } from '../decoder.js';
import { WHOLE_FRAME } from '../frame.js';
import { makeEnd2endDecoder } from './end2end.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';
import { end2endDetections, type Placed, transposed, yolov5Predictions, yolov8Predictions } from './yolo.inverse.js';
import { makeYolov5Decoder } from './yolov5.js';
import { makeYolov8Decoder, yolov8Problem } from './yolov8.js';

const LABELS = ['person', 'car', 'dog'];
const INPUT: DecoderInput = { width: 640, height: 480, labels: LABELS, thresholds: [0.25, 0.25, 0.25] };
const toLogits = ({ data, dims }: OutputTensor, from: number, columns: number): OutputTensor => ({
  dims,
  data: data.map((value, index) => (index % columns < from ? value : Math.log(value / (1 - value)))),
});

/** Boxes in the first four of `columns`, or in the first four rows when `columns` is the number of locations. */
function normalized({ data, dims }: OutputTensor, columns: number): OutputTensor {
  const sizes = [INPUT.width, INPUT.height, INPUT.width, INPUT.height];
  return { dims, data: data.map((value, index) => value / (sizes[index % columns] ?? 1)) };
}

function forScenes(locations: number, test: (objects: Placed[], next: () => number) => void): void {
  for (let seed = 1; seed <= 60; seed++) {
    const next = seeded(seed);
    const scene = randomScene(next, 12, LABELS.length);
    test(
      scene.map((object, index) => ({ ...object, location: Math.floor(((index + next()) * locations) / 12) })),
      next,
    );
  }
}

describe('makeYolov5Decoder', () => {
  const spec = { type: 'yolov5', outputs: { predictions: 'output0' } } as const;

  it('gives back any objects, in pixels or normalised, from probabilities or logits', () => {
    const decode = (decoder: Decoder, output0: OutputTensor, content: Parameters<Decoder['decode']>[1]) =>
      decoder.decode({ output0 }, content);
    forScenes(500, (objects, next) => {
      const content = randomContent(next);
      const output = yolov5Predictions(objects, 500, INPUT, content, 0.1 + 0.8 * next());
      expect(difference(decode(makeYolov5Decoder(spec, INPUT), output, content), objects)).toBeLessThan(1e-5);
      const small = makeYolov5Decoder({ ...spec, units: 'normalized' }, INPUT);
      expect(difference(decode(small, normalized(output, 8), content), objects)).toBeLessThan(1e-5);
      const raw = makeYolov5Decoder({ ...spec, activation: 'sigmoid' }, INPUT);
      expect(difference(decode(raw, toLogits(output, 4, 8), content), objects)).toBeLessThan(1e-5);
    });
  });

  it('multiplies objectness and class, and takes one class a row', () => {
    const output0 = tensor([1, 2, 8], [320, 240, 64, 48, 0.8, 0.1, 0.5, 0.45, 320, 240, 64, 48, 0.4, 0.6, 0, 0]);
    const [found, ...more] = makeYolov5Decoder(spec, INPUT).decode({ output0 }, WHOLE_FRAME);
    expect(found).toMatchObject({ label: 'car' });
    expect(found.score).toBeCloseTo(0.4, 6);
    for (const [side, value] of [0.45, 0.45, 0.55, 0.55].entries()) expect(found.box[side]).toBeCloseTo(value, 6);
    expect(more).toEqual([]);
  });

  it('reads past the values behind the classes', () => {
    const row = [320, 240, 64, 48, 0.8, 0.1, 0.5, 0.45, 1, 1];
    const decoder = makeYolov5Decoder({ ...spec, extra: 2 }, INPUT);
    const found = decoder.decode({ output0: tensor([1, 2, 10], [...row, ...row.with(0, 64)]) }, WHOLE_FRAME);
    expect(found.map(({ label }) => label)).toEqual(['car', 'car']);
    expect(found[1].box[0]).toBeCloseTo(0.05, 6);
  });

  it('lets no class with a high threshold hide another', () => {
    const output0 = tensor([1, 1, 8], [320, 240, 64, 48, 1, 0.5, 0.8, 0]);
    const decoder = makeYolov5Decoder(spec, { ...INPUT, thresholds: [0.4, 0.9, 0.4] });
    expect(decoder.decode({ output0 }, WHOLE_FRAME).map(({ label }) => label)).toEqual(['person']);
  });
});

describe('makeYolov8Decoder', () => {
  const spec = { type: 'yolov8', outputs: { predictions: 'output0' } } as const;

  it('gives back any objects, transposed or not', () => {
    const decoder = makeYolov8Decoder(spec, INPUT);
    forScenes(400, (objects, next) => {
      const content = randomContent(next);
      const output0 = yolov8Predictions(objects, 400, INPUT, content);
      expect(difference(decoder.decode({ output0 }, content), objects)).toBeLessThan(1e-5);
      const rows = transposed(output0);
      expect(difference(decoder.decode({ output0: rows }, content), objects)).toBeLessThan(1e-5);
      const named = makeYolov8Decoder({ ...spec, layout: 'channels-last', units: 'normalized' }, INPUT);
      expect(difference(named.decode({ output0: normalized(rows, 7) }, content), objects)).toBeLessThan(1e-5);
      const flat = { data: output0.data, dims: [7, 400] };
      expect(difference(decoder.decode({ output0: flat }, content), objects)).toBeLessThan(1e-5);
    });
  });

  it('reads past the values behind the classes: masks, key points, an angle', () => {
    const decoder = makeYolov8Decoder({ ...spec, extra: 2 }, INPUT);
    expect(decoder.outputs[0]).toMatchObject({ dims: [1, 9, null] });
    forScenes(400, (objects, next) => {
      const content = randomContent(next);
      const { data } = yolov8Predictions(objects, 400, INPUT, content);
      const output0 = { data: Float32Array.from({ length: 9 * 400 }, (_, at) => data[at] ?? 1), dims: [1, 9, 400] };
      expect(difference(decoder.decode({ output0 }, content), objects)).toBeLessThan(1e-5);
      expect(difference(decoder.decode({ output0: transposed(output0) }, content), objects)).toBeLessThan(1e-5);
    });
    expect(yolov8Problem({ type: 'yolov8', outputs: { boxes: 'b', scores: 's' }, extra: 2 })?.field).toBe('extra');
  });

  it('takes boxes and scores apart, corners, and logits', () => {
    const split = { type: 'yolov8', outputs: { boxes: 'boxes', scores: 'scores' } } as const;
    forScenes(300, (objects, next) => {
      const content = randomContent(next);
      const { data } = yolov8Predictions(objects, 300, INPUT, content);
      const boxes = { data: data.slice(0, 1200), dims: [1, 4, 300] };
      const scores = { data: data.slice(1200), dims: [1, 3, 300] };
      const decoder = makeYolov8Decoder(split, INPUT);
      expect(difference(decoder.decode({ boxes, scores }, content), objects)).toBeLessThan(1e-5);

      const corners = transposed(boxes);
      for (let at = 0; at < 1200; at += 4) {
        const [x, y, w, h] = corners.data.subarray(at, at + 4);
        corners.data.set([x - w / 2, y - h / 2, x + w / 2, y + h / 2], at);
      }
      const nas = makeYolov8Decoder({ ...split, boxFormat: 'xyxy', activation: 'sigmoid' }, INPUT);
      const logits = toLogits(transposed(scores), 0, 3);
      expect(difference(nas.decode({ boxes: corners, scores: logits }, content), objects)).toBeLessThan(1e-4);
      const mixed = { boxes: corners, scores: toLogits(scores, 0, 300) };
      expect(difference(nas.decode(mixed, content), objects)).toBeLessThan(1e-4);
    });
  });

  it('reads a column as a location', () => {
    // Two locations, three classes: x, y, w, h, then a row per class.
    const output0 = tensor([1, 7, 2], [100, 320, 10, 240, 20, 128, 20, 96, 0.1, 0.2, 0.1, 0.7, 0.1, 0.6]);
    const found = makeYolov8Decoder(spec, INPUT).decode({ output0 }, WHOLE_FRAME);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ label: 'car', classId: 1 });
    expect(found[0].score).toBeCloseTo(0.7, 6);
    for (const [side, value] of [0.4, 0.4, 0.6, 0.6].entries()) expect(found[0].box[side]).toBeCloseTo(value, 6);
  });

  it('takes the layout that is declared where the shape fits both', () => {
    const data = tensor([1, 7, 7]);
    for (let channel = 0; channel < 4; channel++) data.data[channel * 7] = [320, 240, 64, 48][channel];
    data.data[5 * 7] = 0.9;
    const labels = (layout?: 'channels-last', output0 = data) =>
      makeYolov8Decoder({ ...spec, layout }, INPUT)
        .decode({ output0 }, WHOLE_FRAME)
        .map(({ label }) => label);
    expect(labels()).toEqual(['car']);
    expect(labels('channels-last', transposed(data))).toEqual(['car']);
  });
});

describe('makeEnd2endDecoder', () => {
  const spec = { type: 'end2end', outputs: { detections: 'output0' } } as const;

  it('gives back any objects in their order, and needs no suppression', () => {
    const decoder = makeEnd2endDecoder(spec, INPUT);
    expect(decoder.suppress).toBe(false);
    forScenes(1, (objects, next) => {
      const content = randomContent(next);
      const output0 = end2endDetections(objects, 300, INPUT, content);
      const found = decoder.decode({ output0 }, content);
      expect(difference(found, objects)).toBeLessThan(1e-5);
      expect(found.map(({ classId }) => classId)).toEqual(objects.map(({ classId }) => classId));
      const small = makeEnd2endDecoder({ ...spec, units: 'normalized' }, INPUT);
      expect(difference(small.decode({ output0: normalized(output0, 6) }, content), objects)).toBeLessThan(1e-5);
    });
  });

  it('reads rows in the order that is declared', () => {
    const yolov7 = ['skip', 'x1', 'y1', 'x2', 'y2', 'class', 'score'] as const;
    const decoder = makeEnd2endDecoder({ ...spec, columns: [...yolov7], labelOffset: -1 }, INPUT);
    const row = [0, 64, 48, 320, 240, 2, 0.5];
    const found = decoder.decode({ output0: tensor([2, 7], [...row, ...row.with(6, 0.1)]) }, WHOLE_FRAME);
    expect(found).toEqual([{ classId: 1, label: 'car', score: 0.5, box: [0.1, 0.1, 0.5, 0.5] }]);
    const centred = makeEnd2endDecoder({ ...spec, columns: ['class', 'score', 'cx', 'cy', 'w', 'h'] }, INPUT);
    const [other] = centred.decode({ output0: tensor([1, 1, 6], [1, 0.5, 192, 144, 256, 192]) }, WHOLE_FRAME);
    for (const [side, value] of [0.1, 0.1, 0.5, 0.5].entries()) expect(other.box[side]).toBeCloseTo(value, 6);
  });

  it('leaves out rows that only fill the tensor, and classes that have no label', () => {
    const decoder = makeEnd2endDecoder(spec, { ...INPUT, thresholds: [0, 0, 0] });
    const rows = [0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, 0, 0, 9, 9, 0.9, 3, 0, 0, 9, 9, 0.9, Number.NaN];
    expect(decoder.decode({ output0: tensor([1, 4, 6], rows) }, WHOLE_FRAME)).toEqual([]);
  });
});

describe('YOLO decoders', () => {
  it.each<[string, (input: DecoderInput) => Decoder, number[]]>([
    ['yolov5', (input) => makeYolov5Decoder({ type: 'yolov5', outputs: { predictions: 'o' } }, input), [1, 20, 8]],
    ['yolov8', (input) => makeYolov8Decoder({ type: 'yolov8', outputs: { predictions: 'o' } }, input), [1, 7, 20]],
    ['yolov8 rows', (input) => makeYolov8Decoder({ type: 'yolov8', outputs: { predictions: 'o' } }, input), [1, 20, 7]],
    ['end2end', (input) => makeEnd2endDecoder({ type: 'end2end', outputs: { detections: 'o' } }, input), [1, 20, 6]],
  ])('%s leaves out what is no number, infinite, empty or outside', (_name, make, dims) => {
    const decoder = make({ ...INPUT, thresholds: [0, 0, 0] });
    const decode = (value: number) => decoder.decode({ o: { dims, data: tensor(dims).data.fill(value) } }, WHOLE_FRAME);
    expect(decode(Number.NaN)).toEqual([]);
    expect(decode(0)).toEqual([]);
    expect(decode(-Infinity)).toEqual([]);
    expect(decode(-5)).toEqual([]);
    for (const { score, box } of decode(Infinity)) {
      expect(score).toBe(1);
      expect(box.every((side) => side >= 0 && side <= 1)).toBe(true);
    }
  });
});
