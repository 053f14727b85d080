import { encodeMessage } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { type EventDraft, EventLifecycle } from './events.js';
import type { Track } from './tracker.js';

const T0 = Date.UTC(2026, 10, 21, 7);
const DIGEST_A = 'a'.repeat(64);
const DIGEST_B = 'b'.repeat(64);

function track(id: number, extra: Partial<Track> = {}): Track {
  return {
    id,
    label: 'person',
    classId: 0,
    score: 0.5,
    box: [0.1, 0.2, 0.3, 0.6],
    confirmed: true,
    hits: 5,
    firstSeenMs: 1000,
    lastSeenMs: 1400,
    coasting: false,
    ...extra,
  };
}

function setUp() {
  let next = 0;
  const lifecycle = new EventLifecycle({}, () => `event-${++next}`);
  const step = (ms: number, tracks: Track[], digest: string | null = DIGEST_A): EventDraft[] =>
    lifecycle.update(tracks, { sequence: ms / 100, atWallMs: T0 + ms, width: 640, height: 360 }, digest, {
      inference: 12,
    });
  return { lifecycle, step };
}

describe('EventLifecycle', () => {
  it('says nothing of unconfirmed tracks', () => {
    const { step } = setUp();
    expect(step(0, [track(1, { confirmed: false })])).toEqual([]);
    expect(step(100, [])).toEqual([]);
  });

  it('starts, and ends at the moment of the last sight under the same id, in messages that fit the wire', () => {
    const { step } = setUp();
    const [start] = step(1000, [track(7)]);
    expect(start).toMatchObject({
      id: 'event-1',
      type: 'start',
      trackId: 7,
      startedAt: new Date(T0 + 600).toISOString(),
    });
    expect(start.endedAt).toBeUndefined();
    expect(step(1100, [track(7, { box: [0.4, 0.2, 0.6, 0.6] })])).toEqual([]);
    expect(step(1500, [track(7, { coasting: true })])).toEqual([]);
    const [end] = step(3000, []);
    expect(end).toMatchObject({
      id: 'event-1',
      type: 'end',
      endedAt: new Date(T0 + 1100).toISOString(),
      box: [0.4, 0.2, 0.6, 0.6],
      frame: { sequence: 11, width: 640, height: 360 },
    });
    for (const draft of [start, end]) {
      expect(() => encodeMessage('events', { ...draft, bootId: '0123abcd', sequence: 1 })).not.toThrow();
    }
  });

  it('updates on a markedly better score, not at once, and every few seconds', () => {
    const { step } = setUp();
    step(0, [track(1, { score: 0.5 })]);
    expect(step(500, [track(1, { score: 0.7 })])).toEqual([]);
    expect(step(1000, [track(1, { score: 0.4 })])).toMatchObject([{ type: 'update', score: 0.7 }]);
    expect(step(2500, [track(1, { score: 0.72 })])).toEqual([]);
    expect(step(6000, [track(1, { score: 0.4 })])).toMatchObject([{ type: 'update', score: 0.72 }]);
  });

  it('goes on through a swap and names the model of the last sight', () => {
    const { step } = setUp();
    const [start] = step(0, [track(1)], DIGEST_A);
    const [update] = step(5000, [track(1)], DIGEST_B);
    expect(update.id).toBe(start.id);
    expect([start.modelDigest, update.modelDigest]).toEqual([DIGEST_A, DIGEST_B]);
  });

  it('ends all that is open, once', () => {
    const { lifecycle, step } = setUp();
    step(0, [track(1), track(2)]);
    expect(lifecycle.openCount).toBe(2);
    expect(lifecycle.endAll(T0 + 200).map((draft) => [draft.trackId, draft.type])).toEqual([
      [1, 'end'],
      [2, 'end'],
    ]);
    expect(lifecycle.endAll(T0 + 300)).toEqual([]);
  });
});
