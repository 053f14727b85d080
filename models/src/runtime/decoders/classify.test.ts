import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { sigmoidLogits, softmaxLogits } from './classify.inverse.js';
import { type ClassifyDecoder, makeClassifyDecoder } from './classify.js';
import { seeded, tensor } from './scene.inverse.js';

const LABELS = ['background', 'cat', 'dog', 'owl'];
const SPEC: ClassifyDecoder = { type: 'classify', outputs: { logits: 'logits' } };
const input = (labels: string[], threshold = 0) => ({
  width: 96,
  height: 96,
  labels,
  thresholds: labels.map(() => threshold),
});

/** A random distribution without two equal values. */
function probabilities(next: () => number, count: number): number[] {
  const raw = Array.from({ length: count }, (_, index) => next() + 0.01 * index + 0.01);
  const sum = raw.reduce((a, b) => a + b);
  return raw.map((value) => value / sum);
}

describe('makeClassifyDecoder', () => {
  it('gives back any distribution, whatever constant was added to its logits', () => {
    const decoder = makeClassifyDecoder({ ...SPEC, topK: 4 }, input(LABELS));
    for (let seed = 1; seed <= 200; seed++) {
      const next = seeded(seed);
      const wanted = probabilities(next, 4);
      const found = decoder.decode(softmaxLogits(wanted, 60 * next() - 30), WHOLE_FRAME);
      expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
      expect(found).toHaveLength(4);
      for (const { classId, label, score, box } of found) {
        expect(score).toBeCloseTo(wanted[classId], 5);
        expect([label, ...box]).toEqual([LABELS[classId], 0, 0, 1, 1]);
      }
    }
    expect(decoder.suppress).toBe(false);
  });

  it('gives back independent probabilities, and probabilities as they are', () => {
    const sigmoid = makeClassifyDecoder({ ...SPEC, activation: 'sigmoid' }, input(LABELS));
    const none = makeClassifyDecoder({ ...SPEC, activation: 'none' }, input(LABELS));
    const wanted = [0.1, 0.9, 0.8, 0.3];
    for (const found of [
      sigmoid.decode(sigmoidLogits(wanted), WHOLE_FRAME),
      none.decode({ logits: tensor([1, 4], wanted) }, WHOLE_FRAME),
    ]) {
      expect(found.map(({ label, score }) => `${label} ${score.toFixed(3)}`)).toEqual([
        'cat 0.900',
        'dog 0.800',
        'owl 0.300',
        'background 0.100',
      ]);
    }
  });

  it('keeps topK above the thresholds, 5 unless told', () => {
    const wanted = probabilities(seeded(3), 9);
    const labels = wanted.map((_, index) => `class ${index}`);
    expect(makeClassifyDecoder(SPEC, input(labels)).decode(softmaxLogits(wanted, 0), WHOLE_FRAME)).toHaveLength(5);
    const threshold = [...wanted].sort((a, b) => b - a)[2] - 1e-6;
    const found = makeClassifyDecoder(SPEC, input(labels, threshold)).decode(softmaxLogits(wanted, 0), WHOLE_FRAME);
    expect(found).toHaveLength(3);
  });

  it('shifts labels by a background that only one side has', () => {
    // The file begins with a background, the model has none.
    const without = makeClassifyDecoder({ ...SPEC, labelOffset: 1, topK: 1 }, input(LABELS));
    expect(without.outputs[0].dims).toEqual([1, 3]);
    const logits = { logits: tensor([1, 3], [0, 5, 0]) };
    expect(without.decode(logits, WHOLE_FRAME)[0]).toMatchObject({ classId: 2, label: 'dog' });
    // The model has a background, the file has none: it takes part in the softmax and is never given.
    const within = makeClassifyDecoder({ ...SPEC, labelOffset: -1 }, input(['cat', 'dog']));
    expect(within.outputs[0].dims).toEqual([1, 3]);
    const found = within.decode({ logits: tensor([1, 3], [2, 0, 0]) }, WHOLE_FRAME);
    expect(found.map(({ label }) => label)).toEqual(['cat', 'dog']);
    expect(found[0].score).toBeCloseTo(1 / (Math.exp(2) + 2), 6);
  });

  it('leaves out what is no number', () => {
    for (const activation of ['softmax', 'sigmoid', 'none'] as const) {
      const decoder = makeClassifyDecoder({ ...SPEC, activation }, input(LABELS));
      expect(decoder.decode({ logits: tensor([1, 4], new Array(4).fill(Number.NaN)) }, WHOLE_FRAME)).toEqual([]);
    }
  });
});
