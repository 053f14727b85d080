import { describe, expect, it } from 'vitest';
import { type FrameArrival, swapFigures, swapWindow } from './swap-figures.js';

const OLD = 'a'.repeat(64);
const NEW = 'b'.repeat(64);

/** A stream of a frame each 100 ms, frame n at n × 100 ms; the new model from frame 120 on. */
function stream(frames: number, missing: readonly number[] = []): FrameArrival[] {
  return Array.from({ length: frames }, (_, sequence) => ({
    sequence,
    arrivalMs: sequence * 100,
    digest: sequence < 120 ? OLD : NEW,
  })).filter((frame) => !missing.includes(frame.sequence));
}

const window = { startMs: 10_050, endMs: 16_000 };

describe('swapFigures', () => {
  it('finds nothing missing in an even stream', () => {
    const figures = swapFigures(stream(200), window);
    expect(figures).toMatchObject({
      framesMissed: 0,
      framesMissing: 0,
      longestGapMs: 100,
      steadyGapP99Ms: 100,
      sequenceResets: 0,
    });
    expect(figures.steadyFrames).toBe(100);
  });

  it('counts each missing sequence number in the window and the gap it leaves', () => {
    const figures = swapFigures(stream(200, [120, 121, 140]), window);
    expect(figures).toMatchObject({ framesMissed: 3, framesMissing: 3, longestGapMs: 300 });
  });

  it('counts a frame lost right at the assignment', () => {
    expect(swapFigures(stream(200, [101]), window).framesMissed).toBe(1);
  });

  it('blames the swap only for more than the steady drop rate', () => {
    // One in ten is lost before; in the window the same, and then four more.
    const steady = Array.from({ length: 20 }, (_, index) => index * 10 + 5);
    const same = swapFigures(stream(200, steady), window);
    expect(same.steadyDropRate).toBeCloseTo(0.1, 2);
    expect(same.framesMissed).toBe(0);
    expect(swapFigures(stream(200, [...steady, 121, 122, 123, 124]), window).framesMissed).toBeGreaterThanOrEqual(4);
  });

  it('ignores what happens after the window', () => {
    const after = Array.from({ length: 20 }, (_, index) => 165 + index);
    expect(swapFigures(stream(200, after), window)).toMatchObject({ framesMissed: 0, longestGapMs: 100 });
  });

  it('sees a stream that froze in the window and never came back', () => {
    expect(swapFigures(stream(130), window).longestGapMs).toBe(16_000 - 12_900);
  });

  it('reports a sequence that starts anew', () => {
    const restarted = stream(200).map((frame) =>
      frame.sequence < 130 ? frame : { ...frame, sequence: frame.sequence - 130 },
    );
    expect(swapFigures(restarted, window).sequenceResets).toBe(1);
  });

  it('sorts the gaps of both times into the histogram', () => {
    const figures = swapFigures(stream(200, [120, 121]), window);
    expect(figures.histogram.find((bin) => bin.upToMs === 100)?.steady).toBe(100);
    expect(figures.histogram.find((bin) => bin.upToMs === 300)?.window).toBe(1);
    expect(figures.histogram.reduce((sum, bin) => sum + bin.window, 0)).toBe(figures.windowFrames);
  });
});

describe('swapWindow', () => {
  it('ends 2 s after the commit, and not before 20 frames have come', () => {
    expect(swapWindow(stream(200), 10_000, 14_000)).toEqual({ startMs: 10_000, endMs: 16_000 });
    const slow = stream(200).map((frame) => ({ ...frame, arrivalMs: frame.arrivalMs * 2 }));
    expect(swapWindow(slow, 20_000, 28_000)).toEqual({ startMs: 20_000, endMs: 32_000 });
  });

  it('is not known before these frames have arrived', () => {
    expect(swapWindow(stream(150), 10_000, 14_000)).toBeNull();
    expect(swapWindow(stream(160), 10_000, 14_000)).toBeNull();
    expect(swapWindow(stream(161), 10_000, 14_000)).not.toBeNull();
  });
});
