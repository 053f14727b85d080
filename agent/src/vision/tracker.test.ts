import type { Detection } from '@vigie/models/runtime/detection';
import { describe, expect, it } from 'vitest';
import { type Track, Tracker, trackerOptionsFor } from './tracker.js';

/** A detection of 0.1 × 0.3 of the frame around a centre. */
function at(x: number, y: number, score = 0.6, label = 'person'): Detection {
  return { classId: 0, label, score, box: [x - 0.05, y - 0.15, x + 0.05, y + 0.15] };
}

/** Runs frames `0 … frames-1` at `fps` and returns the tracks after each. */
function play(tracker: Tracker, fps: number, frames: number, see: (frame: number) => Detection[], from = 0): Track[][] {
  return Array.from({ length: frames }, (_, frame) =>
    tracker.update(see(from + frame), from + frame, ((from + frame) * 1000) / fps),
  );
}

const confirmed = (tracks: Track[]) => tracks.filter((track) => track.confirmed);

describe('Tracker', () => {
  it.each([4, 10, 30])('gives a walker one id and confirms it once, at %i fps', (fps) => {
    const seconds = 4;
    const walk = play(new Tracker(), fps, seconds * fps, (frame) => [at(0.1 + (0.15 * frame) / fps, 0.5)]);
    const ids = new Set(walk.flat().map((track) => track.id));
    expect([...ids]).toEqual([1]);
    expect(confirmed(walk[0])).toEqual([]);
    expect(confirmed(walk.at(-1) as Track[])).toHaveLength(1);
    const centre = (walk.at(-1) as Track[])[0].box;
    expect((centre[0] + centre[2]) / 2).toBeCloseTo(0.1 + 0.15 * (seconds - 1 / fps), 1);
  });

  it('never confirms a weak thing that does not move, and confirms a strong one', () => {
    const jitter = (frame: number) => 0.002 * ((frame * 7) % 5);
    const weak = play(new Tracker(), 10, 100, (frame) => [at(0.3 + jitter(frame), 0.5, 0.42)]);
    expect(weak.flatMap(confirmed)).toEqual([]);
    const strong = play(new Tracker(), 10, 20, (frame) => [at(0.3 + jitter(frame), 0.5, 0.8)]);
    expect(confirmed(strong.at(-1) as Track[])).toHaveLength(1);
  });

  it('never confirms what is only ever seen weakly, moving or not', () => {
    const walk = play(new Tracker(), 10, 40, (frame) => [at(0.1 + 0.02 * frame, 0.5, 0.3)]);
    expect(walk.flatMap(confirmed)).toEqual([]);
  });

  it('keeps an id through weak detections and misses, and coasts meanwhile', () => {
    const tracker = new Tracker();
    const walk = play(tracker, 10, 40, (frame) => {
      if (frame >= 20 && frame < 26) return [];
      return [at(0.1 + 0.02 * frame, 0.5, frame % 3 === 0 ? 0.3 : 0.5)];
    });
    expect(new Set(walk.flat().map((track) => track.id)).size).toBe(1);
    expect(walk[22][0]).toMatchObject({ coasting: true, confirmed: true, lastSeenMs: 1900 });
    expect(walk[26][0].coasting).toBe(false);
  });

  it('keeps two ids apart when two walkers pass each other', () => {
    const walk = play(new Tracker(), 10, 40, (frame) => [at(0.1 + 0.02 * frame, 0.45), at(0.9 - 0.02 * frame, 0.6)]);
    const last = walk.at(-1) as Track[];
    expect(last.map((track) => track.id)).toEqual([1, 2]);
    const [first, second] = last.map((track) => (track.box[0] + track.box[2]) / 2);
    expect(first).toBeGreaterThan(0.8);
    expect(second).toBeLessThan(0.2);
  });

  it('forgets an object after its time and never uses its id again', () => {
    const tracker = new Tracker({ coastMs: 1000 });
    play(tracker, 10, 20, (frame) => [at(0.3 + 0.01 * frame, 0.5, 0.8)]);
    const gone = play(tracker, 10, 20, () => [], 20);
    expect(gone[5]).toHaveLength(1);
    expect(gone.at(-1)).toEqual([]);
    const again = play(tracker, 10, 1, () => [at(0.3, 0.5, 0.8)], 40);
    expect(again[0][0].id).toBe(2);
  });

  it('gives up sooner at the border, where objects leave', () => {
    const tracker = new Tracker();
    play(tracker, 10, 20, (frame) => [at(0.55 + 0.021 * frame, 0.5, 0.8)]);
    expect(play(tracker, 10, 8, () => [], 20).at(-1)).toEqual([]);
  });

  it('makes one track of several boxes on one object', () => {
    const walk = play(new Tracker(), 10, 20, (frame) => {
      const x = 0.2 + 0.02 * frame;
      const part: Detection = { ...at(x, 0.5, 0.45), box: [x - 0.03, 0.35, x + 0.03, 0.5] };
      return [at(x, 0.5, 0.5), at(x + 0.025, 0.52, 0.42), part];
    });
    expect(new Set(walk.flat().map((track) => track.id)).size).toBe(1);
  });

  it('does not mix labels', () => {
    const walk = play(new Tracker(), 10, 10, (frame) => [at(0.5, 0.5, 0.8, frame < 5 ? 'person' : 'dog')]);
    expect(new Set(walk.flat().map((track) => `${track.id} ${track.label}`))).toEqual(new Set(['1 person', '2 dog']));
  });

  it('ignores a frame that is not newer', () => {
    const tracker = new Tracker();
    tracker.update([at(0.5, 0.5)], 5, 500);
    expect(tracker.update([at(0.1, 0.5)], 5, 600)).toHaveLength(1);
    expect(tracker.update([at(0.1, 0.5)], 6, 400)).toHaveLength(1);
  });

  it('scales its scores to the threshold of another model', () => {
    expect(trackerOptionsFor(0.4)).toMatchObject({ floorScore: 0.28, highScore: 0.4 });
    expect(trackerOptionsFor(0.2).floorScore).toBeCloseTo(0.14);
    expect(trackerOptionsFor(0.9).stillScore).toBeLessThan(1);
  });
});

it('takes another model’s scores over without losing a track', () => {
  const tracker = new Tracker(trackerOptionsFor(0.8));
  const walk = (score: number, from: number) =>
    play(tracker, 10, 20, (frame) => [at(0.1 + 0.02 * frame, 0.5, score)], from);
  const before = walk(0.9, 0).at(-1) as Track[];
  expect(confirmed(before)).toHaveLength(1);
  tracker.retune(trackerOptionsFor(0.3));
  const after = walk(0.35, 20);
  expect(after.flat().every(({ id, coasting }) => id === before[0].id && !coasting)).toBe(true);
  expect(after).toHaveLength(20);
});
