import { readFileSync } from 'node:fs';
import { type Box, type Detection, intersectionOverUnion } from '@vigie/models/runtime/detection';
import { describe, expect, it } from 'vitest';
import { EventLifecycle } from '../src/vision/events.js';
import { Tracker } from '../src/vision/tracker.js';

/** What version 0 of the detector, a weak one, says of the bundled clip: false alarms on a car and a flower pot all along. */
const recorded: { fps: number; frames: number[][][] } = JSON.parse(
  readFileSync(new URL('./fixtures/yard.detections.json', import.meta.url), 'utf8'),
);
const truth: {
  frames: { persons: { id: number; box: number[]; visible: number }[] }[];
  width: number;
  height: number;
} = JSON.parse(readFileSync(new URL('../../models/media/yard.boxes.json', import.meta.url), 'utf8'));

const EMPTY_BEFORE = 38;
const EMPTY_FROM = 208;

function detections(frame: number): Detection[] {
  return recorded.frames[frame].map(([score, ...box]) => ({
    classId: 0,
    label: 'person',
    score,
    box: box as unknown as Box,
  }));
}

function personAt(frame: number, box: Box): number | null {
  let best = { id: null as number | null, iou: 0.3 };
  for (const person of truth.frames[frame].persons) {
    const [x1, y1, x2, y2] = person.box;
    const iou = intersectionOverUnion(box, [x1 / truth.width, y1 / truth.height, x2 / truth.width, y2 / truth.height]);
    if (iou > best.iou) best = { id: person.id, iou };
  }
  return best.id;
}

/** Plays the clip, every `step`-th frame from `phase`, `loops` times. */
function play(step: number, phase: number, loops: number) {
  const tracker = new Tracker();
  let next = 0;
  const lifecycle = new EventLifecycle({}, () => `e${++next}`);
  const starts: { trackId: number; frame: number }[] = [];
  const persons = new Map<number, Map<number, number>>();
  let ends = 0;
  for (let loop = 0; loop < loops; loop++) {
    for (let frame = phase; frame < recorded.frames.length; frame += step) {
      const sequence = loop * recorded.frames.length + frame;
      const atMs = (sequence * 1000) / recorded.fps;
      const tracks = tracker.update(detections(frame), sequence, atMs);
      for (const draft of lifecycle.update(tracks, { sequence, atWallMs: atMs, width: 640, height: 360 }, null, {})) {
        if (draft.type === 'start') starts.push({ trackId: draft.trackId, frame });
        if (draft.type === 'end') ends++;
      }
      for (const track of tracks) {
        if (!track.confirmed || track.coasting) continue;
        const id = personAt(frame, track.box) ?? 0;
        const counts = persons.get(track.id) ?? new Map<number, number>();
        persons.set(track.id, counts.set(id, (counts.get(id) ?? 0) + 1));
      }
    }
  }
  return { starts, ends, persons };
}

/** Whom a track followed, and in which share of its frames. */
function follows(counts: Map<number, number>): { person: number; share: number } {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const [person, count] = [...counts].sort((a, b) => b[1] - a[1])[0];
  return { person, share: count / total };
}

describe('the bundled clip', () => {
  // 10, 5 and 3.3 frames a second: a busy board drops frames.
  it.each([
    { step: 1, phase: 0, loops: 3 },
    { step: 2, phase: 0, loops: 2 },
    { step: 2, phase: 1, loops: 2 },
    { step: 3, phase: 0, loops: 2 },
    { step: 3, phase: 1, loops: 2 },
    { step: 3, phase: 2, loops: 2 },
  ])('both walkers become one event each, and nothing else does (%o)', ({ step, phase, loops }) => {
    const { starts, ends, persons } = play(step, phase, loops);
    expect(starts).toHaveLength(2 * loops);
    expect(ends).toBe(2 * loops);
    for (const { frame } of starts) {
      expect(frame).toBeGreaterThanOrEqual(EMPTY_BEFORE);
      expect(frame).toBeLessThan(EMPTY_FROM);
    }
    const followed = [...persons.values()].map(follows);
    expect(followed.map(({ person }) => person).sort()).toEqual([...Array(loops).fill(1), ...Array(loops).fill(2)]);
    for (const { share } of followed) expect(share).toBeGreaterThan(0.9);
  });
});
