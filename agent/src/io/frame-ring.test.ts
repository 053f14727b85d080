import { WHOLE_FRAME } from '@vigie/models/runtime/frame';
import { describe, expect, it } from 'vitest';
import type { CapturedFrame } from '../ports.js';
import { type FramePart, FrameRing, MAX_WINDOW } from './frame-ring.js';

const MODEL_BYTES = 6;
const VIEW_BYTES = 4;

function setUp(lossless: boolean) {
  const frames: CapturedFrame[] = [];
  const woken: FramePart[] = [];
  let sequence = 0;
  const ring = new FrameRing({
    modelSize: { width: MODEL_BYTES / 3, height: 1 },
    viewBytes: VIEW_BYTES,
    consumerSlots: 2,
    lossless,
    content: WHOLE_FRAME,
    now: () => 0,
    nextSequence: () => {
      sequence += 1;
      return sequence;
    },
    onFrame: (frame) => frames.push(frame),
    onRoom: (part) => woken.push(part),
  });
  /** Writes one picture of a part in pieces of 4 bytes at the most; its bytes are all `value`. */
  const write = (part: FramePart, value: number): boolean => {
    let left = part === 'model' ? MODEL_BYTES : VIEW_BYTES;
    let more = true;
    while (left > 0) {
      const target = ring.target(part);
      const bytes = Math.min(4, left, target.length);
      target.fill(value, 0, bytes);
      left -= bytes;
      more = ring.advance(part, bytes);
    }
    return more;
  };
  return { ring, frames, woken, write };
}

const seen = (frames: CapturedFrame[]) => frames.map((frame) => [frame.sequence, frame.model[5], frame.view[3]]);

describe('FrameRing', () => {
  it('pairs the k-th model picture with the k-th view picture, whichever comes first', () => {
    const { frames, write } = setUp(false);
    write('model', 1);
    write('model', 2);
    write('view', 1);
    write('view', 2);
    expect(seen(frames)).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
  });

  it('overwrites what the consumer has no room for, and the sequence shows it', () => {
    const { ring, frames, write } = setUp(false);
    for (let value = 1; value <= 4; value += 1) {
      write('model', value);
      write('view', value);
    }
    expect(frames.map((frame) => frame.sequence)).toEqual([1, 2]);
    expect(ring.overwritten).toBe(2);
    frames[0].release();
    frames[0].release();
    write('model', 5);
    write('view', 5);
    expect(seen(frames).at(-1)).toEqual([5, 5, 5]);
    expect(frames[1].model[0]).toBe(2);
  });

  it('waits for the consumer when lossless, and loses nothing', () => {
    const { ring, frames, woken, write } = setUp(true);
    let more = true;
    let written = 0;
    while (more) {
      written += 1;
      write('view', written);
      more = write('model', written);
    }
    expect(frames).toHaveLength(2);
    expect(written).toBe(4);
    expect(ring.mayRead('model')).toBe(false);
    frames[0].release();
    expect(woken).toContain('model');
    frames[1].release();
    expect(seen(frames).map(([, model]) => model)).toEqual([1, 2, 3, 4]);
    expect(ring.idle).toBe(false);
    frames[2].release();
    frames[3].release();
    expect(ring.idle).toBe(true);
  });

  it('hands nothing over while paused', () => {
    const { ring, frames, write } = setUp(true);
    ring.pause();
    write('model', 1);
    write('view', 1);
    expect(frames).toHaveLength(0);
    ring.resume();
    expect(frames).toHaveLength(1);
  });

  it('lets one part run far ahead of the other (ffmpeg would block for ever), up to a bound', () => {
    const { ring, frames, write } = setUp(false);
    let lead = 0;
    while (ring.mayRead('model')) {
      lead += 1;
      write('model', lead);
    }
    expect(lead).toBe(MAX_WINDOW - 1);
    write('view', 1);
    expect(seen(frames)).toEqual([[1, 1, 1]]);
    expect(ring.mayRead('model')).toBe(true);
  });

  it('forgets half-read frames when the source starts anew, and counts on', () => {
    const { ring, frames, write } = setUp(false);
    write('model', 1);
    write('view', 1);
    write('model', 2);
    ring.advance('view', 3);
    ring.restart();
    write('model', 9);
    write('view', 9);
    expect(seen(frames).at(-1)).toEqual([2, 9, 9]);
  });
});
