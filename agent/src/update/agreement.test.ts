import type { Box, Detection } from '@vigie/models/runtime/detection';
import { describe, expect, test } from 'vitest';
import { AgreementMeter, matchDetections } from './agreement.js';

const detection = (label: string, score: number, ...box: [number, number, number, number]): Detection => ({
  classId: 0,
  label,
  score,
  box,
});
const person = (score: number, box: Box) => detection('person', score, ...box);
const scores = (candidate: Detection[], reference: Detection[]) =>
  matchDetections(candidate, reference).map((match) => [match.candidate.score, match.reference.score]);

describe('matching', () => {
  test('needs an IoU of a half', () => {
    // 0.2 × 0.4 over 0.2 × 0.4 moved by 0.0666…: overlap 2/3 of a side, IoU (2/3) / (4/3) = 0.5; moved by 0.07: 0.481.
    const still = person(0.9, [0, 0, 0.2, 0.4]);
    expect(scores([still], [person(0.8, [0.2 / 3, 0, 0.8 / 3, 0.4])])).toEqual([[0.9, 0.8]]);
    expect(scores([still], [person(0.8, [0.07, 0, 0.27, 0.4])])).toEqual([]);
  });

  test('needs the same label', () => {
    expect(scores([detection('dog', 0.9, 0, 0, 1, 1)], [detection('cat', 0.9, 0, 0, 1, 1)])).toEqual([]);
  });

  test('takes the greatest overlap first, each box once', () => {
    // Two candidates over one reference: the nearer one gets it; the other is left over.
    const reference = person(0.5, [0, 0, 0.4, 0.4]);
    const near = person(0.6, [0.01, 0, 0.41, 0.4]);
    const far = person(0.9, [0.08, 0, 0.48, 0.4]);
    expect(scores([far, near], [reference])).toEqual([[0.6, 0.5]]);
    // With a second reference under it, the other finds its own.
    expect(scores([far, near], [reference, person(0.4, [0.1, 0, 0.5, 0.4])])).toEqual([
      [0.6, 0.5],
      [0.9, 0.4],
    ]);
  });

  test('of classifiers: the labels that both name for the frame', () => {
    const whole = (label: string, score: number) => detection(label, score, 0, 0, 1, 1);
    expect(scores([whole('person', 0.9)], [whole('person', 0.7)])).toEqual([[0.9, 0.7]]);
    expect(scores([whole('person', 0.9)], [whole('nobody', 0.7)])).toEqual([]);
    expect(scores([whole('a', 0.5), whole('b', 0.4)], [whole('b', 0.6), whole('a', 0.3)])).toHaveLength(2);
  });

  test('of an empty box with itself is a match', () => {
    expect(scores([person(0.9, [0.5, 0.5, 0.5, 0.6])], [person(0.8, [0.5, 0.5, 0.5, 0.6])])).toHaveLength(1);
  });

  test('holds its laws on random scenes', () => {
    const next = seeded(20261121);
    for (let round = 0; round < 500; round += 1) {
      const scene = () => Array.from({ length: Math.floor(next() * 7) }, () => randomBox(next));
      const [a, b] = [scene(), scene()];
      const matches = matchDetections(a, b);
      expect(matches.length).toBeLessThanOrEqual(Math.min(a.length, b.length));
      expect(new Set(matches.map((match) => match.candidate)).size).toBe(matches.length);
      expect(new Set(matches.map((match) => match.reference)).size).toBe(matches.length);
      // Who is called the candidate makes no difference, and nothing agrees less with itself than wholly.
      const turned = matchDetections(b, a).map(
        (match) => `${b.indexOf(match.candidate)} ${a.indexOf(match.reference)}`,
      );
      expect(matches.map((match) => `${b.indexOf(match.reference)} ${a.indexOf(match.candidate)}`)).toEqual(turned);
      expect(matchDetections(a, a)).toHaveLength(a.length);
      // No pair that could still match is left over.
      const left = (all: Detection[], taken: Detection[]) => all.filter((one) => !taken.includes(one));
      const rest = matchDetections(
        left(
          a,
          matches.map((match) => match.candidate),
        ),
        left(
          b,
          matches.map((match) => match.reference),
        ),
      );
      expect(rest).toEqual([]);
    }
  });
});

describe('agreement', () => {
  const box: Box = [0, 0, 0.5, 0.5];
  const elsewhere: Box = [0.5, 0.5, 1, 1];

  test('is twice the matches over all boxes; drift is the mean change of score', () => {
    const meter = new AgreementMeter();
    expect(meter.agreement).toBeNull();
    // Frame 1: 2 and 1 boxes, 1 match, +0.1. Frame 2: 1 and 2, 1 match, -0.3. Frame 3: 1 and 0. Frame 4: nothing.
    meter.add(
      { detections: [person(0.9, box), person(0.5, elsewhere)], childMs: 10 },
      { detections: [person(0.8, box)], childMs: 20 },
    );
    meter.add(
      { detections: [person(0.4, elsewhere)], childMs: 11 },
      { detections: [person(0.7, elsewhere), person(0.6, box)], childMs: 21 },
    );
    meter.add({ detections: [person(0.4, box)], childMs: 50 }, { detections: [], childMs: 22 });
    meter.add({ detections: [], childMs: 12 }, { detections: [], childMs: 23 });
    const { agreement, scoreDrift, ...rest } = meter.agreement as NonNullable<typeof meter.agreement>;
    expect(rest).toEqual({
      frames: 4,
      candidateBoxes: 4,
      referenceBoxes: 3,
      matchedBoxes: 2,
      candidateP95Ms: 50,
      referenceP95Ms: 23,
    });
    expect(agreement).toBeCloseTo(4 / 7, 12);
    expect(scoreDrift).toBeCloseTo(-0.1, 12);
  });

  test('is whole where neither saw anything, and none where nothing matched', () => {
    const empty = new AgreementMeter();
    empty.add({ detections: [], childMs: 1 }, { detections: [], childMs: 1 });
    expect(empty.agreement).toMatchObject({ agreement: 1, scoreDrift: 0 });
    const apart = new AgreementMeter();
    apart.add({ detections: [person(1, box)], childMs: 1 }, { detections: [person(1, elsewhere)], childMs: 1 });
    expect(apart.agreement).toMatchObject({ agreement: 0, scoreDrift: 0 });
  });

  test('keeps the newest times only, however long it runs', () => {
    const meter = new AgreementMeter();
    for (let frame = 0; frame < 10_000; frame += 1) {
      meter.add({ detections: [], childMs: frame < 5000 ? 900 : 9 }, { detections: [], childMs: 5 });
    }
    expect(meter.agreement).toMatchObject({ frames: 10_000, candidateP95Ms: 9 });
  });
});

function randomBox(next: () => number): Detection {
  const [x, y] = [next() * 0.3, next() * 0.3];
  return detection(next() < 0.7 ? 'person' : 'dog', next(), x, y, x + 0.3 + next() * 0.2, y + 0.3 + next() * 0.2);
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
