import type { DeviceConfiguration } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { EventRules } from './event-rules.js';
import { crossing, isInside } from './geometry.js';
import type { Track } from './tracker.js';

const T0 = Date.UTC(2026, 10, 21, 7);
const gate = {
  name: 'gate',
  polygon: [
    [0.4, 0.4],
    [0.6, 0.4],
    [0.6, 0.6],
    [0.4, 0.6],
  ],
};
/** From left to right across the picture: up is its left. */
const kerb = { name: 'kerb', from: [0, 0.5], to: [1, 0.5] };

/** An object whose foot stands at x, y. */
function at(id: number, x: number, y: number, extra: Partial<Track> = {}): Track {
  const box: Track['box'] = [x - 0.05, y - 0.2, x + 0.05, y];
  const rest = { classId: 0, confirmed: true, hits: 5, firstSeenMs: 0, coasting: false };
  return { id, label: 'person', score: 0.5, box, lastSeenMs: 0, ...rest, ...extra };
}

function setUp(configuration: DeviceConfiguration | null) {
  let next = 0;
  const rules = new EventRules(() => `event-${++next}`);
  rules.configure(configuration, T0);
  const step = (ms: number, ...tracks: Track[]) =>
    rules
      .update(
        tracks.map((track) => ({ ...track, lastSeenMs: track.coasting ? track.lastSeenMs : ms })),
        { sequence: ms, atWallMs: T0 + ms, sceneMs: ms, width: 640, height: 360 },
        null,
        {},
      )
      .map(({ type, label, rule, zones, direction, startedAt }) => ({
        ...{ type, label, rule, zones, direction },
        started: Date.parse(startedAt) - T0,
      }));
  return { rules, step };
}

describe('geometry', () => {
  it('knows inside from outside', () => {
    expect(isInside([0.5, 0.5], gate.polygon)).toBe(true);
    expect(isInside([0.7, 0.5], gate.polygon)).toBe(false);
    const hook = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0.8, 1],
      [0.8, 0.2],
      [0, 0.2],
    ];
    expect([isInside([0.9, 0.9], hook), isInside([0.4, 0.5], hook)]).toEqual([true, false]);
  });

  it('knows from which side a line is crossed, and what misses it', () => {
    expect(crossing([0.5, 0.4], [0.5, 0.6], kerb)).toBe('left-to-right');
    expect(crossing([0.5, 0.6], [0.5, 0.4], kerb)).toBe('right-to-left');
    expect(crossing([0.5, 0.4], [0.6, 0.45], kerb)).toBeNull();
    expect(crossing([0.8, 0.4], [0.8, 0.6], { from: [0, 0.5], to: [0.7, 0.5] })).toBeNull();
  });
});

describe('EventRules', () => {
  it('lets every object make an event when nothing was asked for', () => {
    const { step } = setUp(null);
    expect(step(0, at(1, 0.5, 0.5))).toMatchObject([{ type: 'start', rule: undefined, zones: undefined }]);
    expect(step(100)).toMatchObject([{ type: 'end' }]);
  });

  it('keeps to labels of interest and to thresholds', () => {
    const { step } = setUp({ labels: ['person'], thresholds: { person: 0.6 } });
    expect(step(0, at(1, 0.5, 0.5), at(2, 0.2, 0.2, { label: 'cat', score: 0.9 }))).toEqual([]);
    expect(step(100, at(1, 0.5, 0.5, { score: 0.65 }))).toMatchObject([{ type: 'start', label: 'person' }]);
    // It was believed once: a weak moment does not end it.
    expect(step(200, at(1, 0.5, 0.5, { score: 0.3 }))).toEqual([]);
  });

  it('starts in a zone after the time it must have stood there, and ends when it has left', () => {
    const { step } = setUp({ zones: [gate], rules: [{ name: 'loitering', zone: 'gate', minSeconds: 2 }] });
    expect(step(0, at(1, 0.1, 0.5))).toEqual([]);
    expect(step(1000, at(1, 0.5, 0.5))).toEqual([]);
    expect(step(2900, at(1, 0.5, 0.5))).toEqual([]);
    const started = { type: 'start', rule: 'loitering', zones: ['gate'], started: 1000 };
    expect(step(3000, at(1, 0.5, 0.5))).toMatchObject([started]);
    expect(step(3500, at(1, 0.61, 0.5)), 'a box that jitters at the border').toEqual([]);
    expect(step(3600, at(1, 0.59, 0.5))).toEqual([]);
    expect(step(4000, at(1, 0.8, 0.5))).toEqual([]);
    expect(step(4700, at(1, 0.8, 0.5))).toMatchObject([{ type: 'end', rule: 'loitering' }]);
  });

  it('sees a line crossed in the direction that was asked for, and not again at once', () => {
    const rule = { name: 'in', line: 'kerb', direction: 'left-to-right' as const };
    const { step } = setUp({ lines: [kerb], rules: [rule] });
    step(0, at(1, 0.5, 0.4));
    expect(step(100, at(1, 0.5, 0.6))).toMatchObject([
      { type: 'start', rule: 'in', direction: 'left-to-right', started: 100 },
      { type: 'end', rule: 'in', direction: 'left-to-right' },
    ]);
    expect(step(200, at(1, 0.5, 0.4))).toEqual([]);
    expect(step(300, at(1, 0.5, 0.6))).toEqual([]);
    step(5000, at(1, 0.5, 0.4));
    expect(step(5100, at(1, 0.5, 0.6))).toHaveLength(2);
    // What was only predicted has crossed nothing.
    expect(step(9000, at(1, 0.5, 0.4, { coasting: true }))).toEqual([]);
  });

  it('goes on with what is still asked for when the configuration changes, and ends the rest', () => {
    const { rules, step } = setUp({ zones: [gate], rules: [{ name: 'a', zone: 'gate' }, { name: 'b' }] });
    expect(step(0, at(1, 0.5, 0.5)).map(({ rule }) => rule)).toEqual(['a', 'b']);
    const ended = rules.configure({ zones: [gate], rules: [{ name: 'a', zone: 'gate', minSeconds: 0 }] }, T0 + 50);
    expect(ended).toMatchObject([{ type: 'end', rule: 'b' }]);
    expect(step(100, at(1, 0.5, 0.5))).toEqual([]);
    expect(rules.configure(null, T0 + 150)).toMatchObject([{ type: 'end', rule: 'a' }]);
    expect(step(200, at(1, 0.5, 0.5))).toMatchObject([{ type: 'start', rule: undefined }]);
    expect(rules.endAll(T0 + 300)).toMatchObject([{ type: 'end' }]);
    expect(rules.openCount).toBe(0);
  });
});
