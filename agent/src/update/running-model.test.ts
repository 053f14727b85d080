import { expect, test } from 'vitest';
import type { FrameResult } from '../ports.js';
import { RunningModels } from './running-model.js';

const A = { name: 'm', version: '1.0.0', digest: 'a'.repeat(64) };
const B = { name: 'm', version: '1.1.0', digest: 'b'.repeat(64) };

function setUp() {
  const board = { wall: Date.UTC(2026, 10, 21, 12), alive: true };
  const models = new RunningModels(
    () => board.wall,
    () => board.alive,
  );
  const run = (digest: string, frames: number) => {
    for (let i = 0; i < frames; i += 1) models.add({ digest } as FrameResult);
  };
  models.begin(A);
  return { board, models, run };
}

test('a model that was started has run nothing yet', () => {
  const { models, run } = setUp();
  expect(models.current).toEqual({ release: A, framesRun: 0, since: '2026-11-21T12:00:00.000Z' });
  run(A.digest, 3);
  expect(models.current?.framesRun).toBe(3);
});

test('a swap begins anew, and so does the way back', () => {
  const { board, models, run } = setUp();
  run(A.digest, 100);
  models.introduce(B);
  board.wall += 60_000;
  run(B.digest, 2);
  expect(models.current).toEqual({ release: B, framesRun: 2, since: '2026-11-21T12:01:00.000Z' });
  board.wall += 60_000;
  models.follow(A.digest);
  expect(models.current).toEqual({ release: A, framesRun: 0, since: '2026-11-21T12:02:00.000Z' });
});

test('a child that is started again goes on counting; meanwhile nothing runs', () => {
  const { board, models, run } = setUp();
  run(A.digest, 5);
  board.alive = false;
  expect(models.current).toBeNull();
  board.wall += 1000;
  board.alive = true;
  run(A.digest, 1);
  expect(models.current).toEqual({ release: A, framesRun: 6, since: '2026-11-21T12:00:00.000Z' });
});

test('a model that nobody introduced is not passed off as the one before', () => {
  const { models, run } = setUp();
  run(A.digest, 5);
  run('c'.repeat(64), 1);
  expect(models.current).toBeNull();
});

test('what is told is a copy', () => {
  const { models, run } = setUp();
  const told = models.current;
  run(A.digest, 4);
  expect(told?.framesRun).toBe(0);
});
