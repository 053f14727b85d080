import { describe, expect, it } from 'vitest';
import { idsContinue, trackContinuity } from './track-continuity.js';

const left = [0.1, 0.1, 0.2, 0.5] as const;
const right = [0.7, 0.1, 0.8, 0.5] as const;
const frame = (digest: string, ...tracks: { id: number; box: readonly [number, number, number, number] }[]) => ({
  digest,
  tracks,
});

describe('trackContinuity', () => {
  it('follows ids over the change of the model, also past a missed detection', () => {
    const frames = [
      frame('old', { id: 1, box: left }, { id: 2, box: right }),
      frame('new', { id: 1, box: left }),
      frame('new', { id: 1, box: left }, { id: 2, box: right }),
    ];
    expect(trackContinuity(frames, 'new')).toEqual({ before: 2, continued: 2, switched: 0, lost: 0, ids: [1, 2] });
    expect(idsContinue(trackContinuity(frames, 'new'))).toBe(true);
  });

  it('finds an object that goes on under another id', () => {
    const frames = [frame('old', { id: 1, box: left }), frame('new', { id: 9, box: left })];
    expect(trackContinuity(frames, 'new')).toMatchObject({ continued: 0, switched: 1 });
    expect(idsContinue(trackContinuity(frames, 'new'))).toBe(false);
  });

  it('does not take another object for the lost one', () => {
    const frames = [frame('old', { id: 1, box: left }), frame('new', { id: 9, box: right })];
    expect(trackContinuity(frames, 'new')).toMatchObject({ switched: 0, lost: 1 });
  });

  it('says nothing where nobody was, or where the model did not change', () => {
    expect(idsContinue(trackContinuity([frame('old'), frame('new', { id: 1, box: left })], 'new'))).toBeNull();
    expect(trackContinuity([frame('old'), frame('old')], 'new')).toBeNull();
    expect(trackContinuity([frame('new'), frame('new')], 'new')).toBeNull();
  });
});
