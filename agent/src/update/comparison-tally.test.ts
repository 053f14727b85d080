import type { Box, Detection } from '@vigie/models/runtime/detection';
import { expect, test } from 'vitest';
import { matchDetections } from './agreement.js';
import { TallyCounter } from './comparison-tally.js';

const WHOLE: Box = [0, 0, 1, 1];
const HERE: Box = [0.1, 0.1, 0.3, 0.4];
const THERE: Box = [0.6, 0.1, 0.8, 0.4];

/** One frame: what the candidate and the previous model say of it, `label@box`. */
type Frame = [candidate: Detection[], previous: Detection[]];
const see = (label: string, box: Box): Detection => ({ classId: 0, label, score: 0.9, box });

function tally(labels: [string[], string[]], frames: Frame[]) {
  const counter = new TallyCounter();
  for (const [candidate, previous] of frames) {
    const sides = [candidate, previous].map((detections, side) => ({ detections, labels: labels[side] }));
    counter.add(sides[0], sides[1], matchDetections(candidate, previous));
  }
  return counter.tally;
}

test('detectors: boxes of the labels they share, wherever they stand', () => {
  const counted = tally(
    [
      ['person', 'dog'],
      ['person', 'cat'],
    ],
    [
      [[see('person', HERE), see('dog', THERE)], [see('person', THERE)]],
      [[], [see('person', HERE), see('cat', THERE)]],
    ],
  );
  expect(counted).toEqual({ frames: 2, candidate: 1, previous: 2, incomparable: null });
});

test('classifiers: the frames on which both name the same', () => {
  const labels: [string[], string[]] = [
    ['nobody', 'person'],
    ['nobody', 'person'],
  ];
  // A classifier that says "nobody" whatever it sees gives one label per frame too.
  const stuck: Frame[] = [
    [[see('nobody', WHOLE)], [see('person', WHOLE)]],
    [[see('nobody', WHOLE)], [see('person', WHOLE)]],
    [[see('nobody', WHOLE)], [see('nobody', WHOLE)]],
  ];
  expect(tally(labels, stuck)).toEqual({ frames: 3, candidate: 1, previous: 3, incomparable: null });
});

test('another kind of model, or other labels: not to be held against each other', () => {
  const both: [string[], string[]] = [['person'], ['person']];
  expect(tally(both, [[[see('person', WHOLE)], [see('person', HERE)]]]).incomparable).toContain('whole picture');
  expect(tally(both, [[[see('person', HERE)], [see('person', WHOLE)]]]).incomparable).toContain('whole picture');
  expect(tally([['dog'], ['person']], [[[], []]]).incomparable).toContain('no label in common');
  expect(tally(both, [[[], [see('person', WHOLE)]]]).incomparable).toBeNull();
});

test('a detector whose person once fills the picture is no classifier', () => {
  const frames: Frame[] = [
    [[see('person', WHOLE)], [see('person', WHOLE)]],
    [[see('person', HERE)], [see('person', THERE)]],
  ];
  expect(tally([['person'], ['person']], frames)).toEqual({ frames: 2, candidate: 2, previous: 2, incomparable: null });
});
