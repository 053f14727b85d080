import { describe, expect, it } from 'vitest';
import { type ClipTruth, scoreClip } from './clip-score.js';

const person = (id: number, box: number[], visible = 1) => ({ id, box, visible });
const truth: ClipTruth = {
  width: 100,
  height: 200,
  frames: [
    { index: 0, persons: [] },
    { index: 1, persons: [person(1, [10, 20, 30, 100]), person(2, [60, 20, 80, 100])] },
    { index: 2, persons: [person(1, [0, 20, 10, 100], 0.1)] },
  ],
};
const first = { score: 0.9, box: [0.1, 0.1, 0.3, 0.5] as const };
const second = { score: 0.5, box: [0.6, 0.1, 0.8, 0.5] as const };

describe('scoreClip', () => {
  it('counts in pixels of the truth what was found in shares of the frame', () => {
    expect(scoreClip([[], [first, second], []], truth)).toMatchObject({ recall: 1, precision: 1, truePositives: 2 });
    expect(scoreClip([[], [first], []], truth)).toMatchObject({ recall: 0.5, precision: 1, falseNegatives: 1 });
  });

  it('counts false alarms, and a second box on one person is one', () => {
    expect(scoreClip([[first], [first, second], []], truth)).toMatchObject({ falsePositives: 1, truePositives: 2 });
    expect(scoreClip([[], [first, { ...first, score: 0.4 }, second], []], truth)).toMatchObject({ falsePositives: 1 });
  });

  it('leaves people who are hardly visible out of both figures', () => {
    const sliver = { score: 0.9, box: [0, 0.1, 0.1, 0.5] as const };
    expect(scoreClip([[], [first, second], [sliver]], truth)).toMatchObject({ recall: 1, precision: 1 });
    expect(scoreClip([[], [first, second], []], truth, { minVisible: 0 })).toMatchObject({ falseNegatives: 1 });
  });

  it('takes the threshold and the overlap into account', () => {
    expect(scoreClip([[], [first, second], []], truth, { threshold: 0.6 })).toMatchObject({ truePositives: 1 });
    const loose = { score: 0.9, box: [0.1, 0.1, 0.3, 0.7] as const };
    expect(scoreClip([[], [loose], []], truth)).toMatchObject({ truePositives: 1 });
    expect(scoreClip([[], [loose], []], truth, { iou: 0.7 })).toMatchObject({ truePositives: 0, falsePositives: 1 });
  });

  it('gives 0 where nothing was found or asked', () => {
    expect(scoreClip([], truth)).toMatchObject({ recall: 0, precision: 0, falseNegatives: 2 });
    expect(scoreClip([], { ...truth, frames: [] })).toMatchObject({ recall: 0, precision: 0 });
  });
});
