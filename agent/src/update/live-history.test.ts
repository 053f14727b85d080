import { expect, test } from 'vitest';
import type { FrameResult } from '../ports.js';
import { LiveHistory } from './live-history.js';

let sequence = 0;
function result(digest: string, inference: number, overlapped = false): FrameResult {
  sequence += 1;
  const stagesMs = { capture: 0, preprocess: 1, inference, decode: 1 };
  return { sequence, capturedAt: 0, doneAt: sequence, digest, detections: [], stagesMs, overlapped };
}

test('the yardstick is what the model took alone, before the candidate loaded beside it', () => {
  const history = new LiveHistory();
  for (let i = 0; i < 10; i += 1) history.add(result('A', 8));
  history.add(result('B', 3));
  history.add(result('A', 90, true));
  expect(history.childMsOf('A')).toEqual(Array(10).fill(10));
  history.openWindow();
  for (let i = 0; i < 10; i += 1) history.add(result('A', 40));
  expect(history.childMsOf('A')).toEqual(Array(10).fill(10));
});

test('a board that has only just started goes by what it has', () => {
  const history = new LiveHistory();
  for (let i = 0; i < 3; i += 1) history.add(result('A', 8));
  history.openWindow();
  for (let i = 0; i < 6; i += 1) history.add(result('A', 18));
  expect(history.childMsOf('A')).toEqual([10, 10, 10, 20, 20, 20, 20, 20, 20]);
});
