import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COCO_SUMMARY_KEYS, type CocoPicture, type CocoSummary, evaluateCoco } from '../src/evaluate/coco-ap.js';

/** What the real pycocotools made of seeded random sets; written by benchmarks/compare/ap-golden.py. */
interface GoldenCase {
  name: string;
  images: number[];
  categories: number;
  /** [image, category from 1, x, y, width, height, area, crowd 0|1, id] */
  truths: [number, number, number, number, number, number, number, number, number][];
  /** [image, category from 1, x, y, width, height, score] */
  detections: [number, number, number, number, number, number, number][];
  stats: number[];
  perCategory: number[][];
}

const { cases } = JSON.parse(readFileSync(new URL('./fixtures/coco-ap-golden.json', import.meta.url), 'utf8')) as {
  cases: GoldenCase[];
};

function pictures({ images, truths, detections }: GoldenCase): CocoPicture[] {
  return [...images]
    .sort((a, b) => a - b)
    .map((picture) => ({
      truths: truths
        .filter(([image]) => image === picture)
        .map(([, category, x, y, width, height, area, crowd, id]) => ({
          category: category - 1,
          box: [x, y, width, height] as const,
          area,
          crowd: crowd === 1,
          id,
        })),
      detections: detections
        .filter(([image]) => image === picture)
        .map(([, category, x, y, width, height, score]) => ({
          category: category - 1,
          box: [x, y, width, height] as const,
          score,
        })),
    }));
}

function expectSame(found: CocoSummary, expected: readonly number[]): void {
  for (const [index, key] of COCO_SUMMARY_KEYS.entries()) {
    expect(Math.abs(found[key] - expected[index]), `${key}: ${found[key]} and ${expected[index]}`).toBeLessThan(1e-9);
  }
}

describe('evaluateCoco against frozen figures of pycocotools', () => {
  it.each(cases)('$name', (golden) => {
    const evaluation = evaluateCoco(pictures(golden), golden.categories);
    expectSame(evaluation.summary, golden.stats);
    expect(golden.perCategory).toHaveLength(golden.categories);
    for (const [index, stats] of golden.perCategory.entries()) expectSame(evaluation.categories[index].summary, stats);
  });

  it('would notice: the cases differ, and hold crowds, ties and figures of -1', () => {
    expect(cases.length).toBeGreaterThanOrEqual(10);
    expect(new Set(cases.map(({ stats }) => stats.join())).size).toBe(cases.length);
    expect(cases.some(({ truths }) => truths.some((truth) => truth[7] === 1))).toBe(true);
    expect(cases.some(({ stats }) => stats.includes(-1))).toBe(true);
    expect(cases.some(({ detections }) => new Set(detections.map((d) => d[6])).size < detections.length / 4)).toBe(
      true,
    );
  });
});
