import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';
import { makeSsdAnchors, ssdAnchorProblem } from './ssd-anchors.js';
import { type AnchoredObject, pytorchRaw, tensorflowRaw } from './ssd-raw.inverse.js';
import { makeSsdRawDecoder, type SsdRawDecoder } from './ssd-raw.js';

const LABELS = ['person', 'car', 'dog'];
const OUTPUTS = { boxes: 'boxes', scores: 'scores' };
const TENSORFLOW: SsdRawDecoder = { type: 'ssd-raw', outputs: OUTPUTS, anchors: { generate: {} } };

function rows(anchors: Float64Array): [number, number, number, number][] {
  return Array.from({ length: anchors.length / 4 }, (_, row) => {
    const [y, x, h, w] = anchors.subarray(4 * row, 4 * row + 4);
    return [y, x, h, w];
  });
}

function anchored(next: () => number, anchors: number): AnchoredObject[] {
  const taken = new Set<number>();
  return randomScene(next, 10, LABELS.length).flatMap((object) => {
    const anchor = Math.floor(next() * anchors);
    if (taken.has(anchor)) return [];
    taken.add(anchor);
    return [{ ...object, anchor }];
  });
}

describe('makeSsdAnchors', () => {
  it('counts as the published models do', () => {
    expect(makeSsdAnchors({ generate: {} }, 300, 300)).toHaveLength(4 * 1917);
    expect(makeSsdAnchors({ generate: {} }, 320, 320)).toHaveLength(4 * 2034);
  });

  it('generates the values of create_ssd_anchors', () => {
    const anchors = rows(makeSsdAnchors({ generate: {} }, 300, 300));
    const close = (row: number, wanted: number[]) => {
      for (const [at, value] of wanted.entries()) expect(anchors[row][at]).toBeCloseTo(value, 6);
    };
    // Lowest layer: (0.1, 1), (0.2, 2), (0.2, 1/2) at the first cell's centre, 0.5 / 19.
    close(0, [0.0263158, 0.0263158, 0.1, 0.1]);
    close(1, [0.0263158, 0.0263158, 0.2 / Math.SQRT2, 0.2 * Math.SQRT2]);
    close(2, [0.0263158, 0.0263158, 0.2 * Math.SQRT2, 0.2 / Math.SQRT2]);
    // The second cell is to the right of the first.
    close(3, [0.0263158, 0.0789474, 0.1, 0.1]);
    // Second layer of 10 × 10: scale 0.35, last of six is √(0.35 · 0.5).
    close(1083, [0.05, 0.05, 0.35, 0.35]);
    close(1088, [0.05, 0.05, 0.41833, 0.41833]);
    // Last anchor: scale 0.95 against the 1.0 after it.
    close(1916, [0.5, 0.5, 0.9746794, 0.9746794]);
  });

  it('keeps anchors square in a frame that is not, and takes grids and lists', () => {
    const wide = rows(makeSsdAnchors({ generate: { grids: [[1, 2]] } }, 600, 300));
    expect(wide[0]).toEqual([0.5, 0.25, 0.1, 0.05]);
    const grids = makeSsdAnchors({ grids: [{ rows: 1, columns: 2, sizes: [[0.5, 0.25]] }] }, 10, 10);
    expect([...grids]).toEqual([0.5, 0.25, 0.5, 0.25, 0.5, 0.75, 0.5, 0.25]);
    expect([...makeSsdAnchors({ list: [[0.1, 0.2, 0.3, 0.4]] }, 10, 10)]).toEqual([0.1, 0.2, 0.3, 0.4]);
  });
});

describe('ssdAnchorProblem', () => {
  it('refuses scales that do not go with the maps, and more anchors than a model has', () => {
    const frame = { width: 300, height: 300 };
    expect(ssdAnchorProblem({ generate: {} }, frame)).toBeUndefined();
    expect(ssdAnchorProblem({ generate: { scales: [0.2, 0.4] } }, frame)?.field).toBe('anchors.generate.scales');
    const huge = {
      rows: 512,
      columns: 512,
      sizes: [
        [0.1, 0.1],
        [0.2, 0.2],
      ],
    };
    expect(ssdAnchorProblem({ grids: [huge] }, frame)?.field).toBe('anchors');
    expect(ssdAnchorProblem({ generate: {} }, { width: 4096, height: 4096 })).toBeUndefined();
  });
});

describe('makeSsdRawDecoder', () => {
  it('gives back any objects encoded by TensorFlow, at several sizes', () => {
    for (const [width, height] of [
      [300, 300],
      [320, 192],
    ]) {
      const anchors = rows(makeSsdAnchors({ generate: {} }, width, height));
      const decoder = makeSsdRawDecoder(TENSORFLOW, { width, height, labels: LABELS, thresholds: [0.2, 0.2, 0.2] });
      expect(decoder.outputs[0].dims).toEqual([1, anchors.length, 4]);
      for (let seed = 1; seed <= 30; seed++) {
        const next = seeded(seed);
        const content = randomContent(next);
        const objects = anchored(next, anchors.length);
        const found = decoder.decode(tensorflowRaw(objects, anchors, LABELS.length, content), content);
        expect(difference(found, objects)).toBeLessThan(1e-4);
      }
    }
  });

  it('gives back any objects encoded with variances and a softmax', () => {
    const grids = [38, 19, 10].map((side, layer) => ({
      rows: side,
      columns: side,
      sizes: [
        [0.1 + 0.2 * layer, 0.1 + 0.2 * layer],
        [0.1 + 0.2 * layer, 0.2 + 0.2 * layer],
      ],
    }));
    const spec: SsdRawDecoder = {
      type: 'ssd-raw',
      outputs: OUTPUTS,
      anchors: { grids },
      boxOrder: 'xywh',
      activation: 'softmax',
    };
    const anchors = rows(makeSsdAnchors(spec.anchors, 300, 300));
    const decoder = makeSsdRawDecoder(spec, { width: 300, height: 300, labels: LABELS, thresholds: [0.2, 0.2, 0.2] });
    for (let seed = 1; seed <= 50; seed++) {
      const next = seeded(seed);
      const content = randomContent(next);
      const objects = anchored(next, anchors.length);
      const found = decoder.decode(pytorchRaw(objects, anchors, LABELS.length, content), content);
      expect(difference(found, objects)).toBeLessThan(1e-4);
    }
  });

  it('places the background where it is told', () => {
    const list = [[0.5, 0.5, 0.5, 0.5]];
    const decode = (background: 'first' | 'last' | 'none', values: number[]) =>
      makeSsdRawDecoder(
        { type: 'ssd-raw', outputs: OUTPUTS, anchors: { list }, activation: 'none', background },
        { width: 300, height: 300, labels: LABELS, thresholds: [0.5, 0.5, 0.5] },
      )
        .decode({ boxes: tensor([1, 1, 4]), scores: tensor([1, 1, values.length], values) }, WHOLE_FRAME)
        .map(({ label, box }) => `${label} ${box.join(' ')}`);
    const box = '0.25 0.25 0.75 0.75';
    expect(decode('first', [0.9, 0, 0.8, 0])).toEqual([`car ${box}`]);
    expect(decode('last', [0, 0.8, 0, 0.9])).toEqual([`car ${box}`]);
    expect(decode('none', [0.9, 0.8, 0])).toEqual([`person ${box}`, `car ${box}`]);
  });

  it('stays finite whatever the model sends', () => {
    const decoder = makeSsdRawDecoder(TENSORFLOW, { width: 300, height: 300, labels: LABELS, thresholds: [0, 0, 0] });
    const filled = (value: number) => ({
      boxes: tensor([1, 1917, 4], new Float32Array(1917 * 4).fill(value)),
      scores: tensor([1, 1917, 4], new Float32Array(1917 * 4).fill(value)),
    });
    expect(decoder.decode(filled(Number.NaN), WHOLE_FRAME)).toEqual([]);
    for (const { score, box } of decoder.decode({ ...filled(1e30), boxes: tensor([1, 1917, 4]) }, WHOLE_FRAME)) {
      expect([score, ...box].every((value) => value >= 0 && value <= 1)).toBe(true);
    }
    expect(decoder.decode(filled(Infinity), WHOLE_FRAME)).toEqual([]);
  });
});
