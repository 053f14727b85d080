import { describe, expect, it } from 'vitest';
import { classificationMetrics } from './classification.js';

describe('classificationMetrics', () => {
  // Figures by hand; scikit-learn's classification_report and confusion_matrix give the same.
  const pictures = [
    { truth: 0, ranked: [0, 1, 2] },
    { truth: 0, ranked: [0, 2, 1] },
    { truth: 0, ranked: [1, 0, 2] },
    { truth: 1, ranked: [1, 0, 2] },
    { truth: 1, ranked: [2, 0, 1] },
    { truth: 1, ranked: [-1, 1] },
    { truth: 1, ranked: [] },
  ];

  it('counts accuracy and the best k', () => {
    expect(classificationMetrics(pictures, 3, 2)).toMatchObject({
      pictures: 7,
      top1: 3 / 7,
      topK: { k: 2, accuracy: 5 / 7 },
    });
  });

  it('counts per class; what is no class, and nothing, have a column of their own', () => {
    const { perClass, confusion, macro } = classificationMetrics(pictures, 3);
    expect(confusion).toEqual([
      [2, 1, 0, 0],
      [0, 1, 1, 2],
      [0, 0, 0, 0],
    ]);
    expect(perClass[0]).toEqual({ support: 3, predicted: 2, precision: 1, recall: 2 / 3, f1: 0.8 });
    expect(perClass[1]).toEqual({ support: 4, predicted: 2, precision: 0.5, recall: 0.25, f1: 1 / 3 });
    expect(perClass[2]).toEqual({ support: 0, predicted: 1, precision: 0, recall: 0, f1: 0 });
    // Class 2 is in no picture: it does not weigh in the means.
    expect(macro.precision).toBeCloseTo(0.75, 12);
    expect(macro.recall).toBeCloseTo((2 / 3 + 0.25) / 2, 12);
    expect(macro.f1).toBeCloseTo((0.8 + 1 / 3) / 2, 12);
  });

  it('has an answer for no pictures and refuses a foreign class', () => {
    expect(classificationMetrics([], 2)).toMatchObject({ top1: 0, macro: { f1: 0 } });
    expect(() => classificationMetrics([{ truth: 2, ranked: [0] }], 2)).toThrow(RangeError);
  });
});
