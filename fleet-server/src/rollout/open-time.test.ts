import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openTime } from './open-time.js';
import { type MaintenanceWindow, WEEKDAYS } from './spec.js';
import { isOpen } from './windows.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const at = (time: string) => Date.parse(time);

describe('open time', () => {
  const night: MaintenanceWindow[] = [{ days: ['mon'], from: '22:00', to: '03:00' }];

  it('is all of it without windows', () => {
    expect(openTime([], ['UTC'], 5, 12)).toBe(7);
    expect(openTime([], [], 12, 5)).toBe(0);
  });

  it('is that of the windows, in the zones of the boards', () => {
    const [monday, tuesday, week] = [at('2026-01-05T12:00:00Z'), at('2026-01-06T12:00:00Z'), 7 * 24 * HOUR];
    expect(openTime(night, [], monday, tuesday)).toBe(5 * HOUR);
    expect(openTime(night, ['UTC'], monday, at('2026-01-05T22:30:00Z'))).toBe(HOUR / 2);
    // Paris is an hour ahead: together they are open from 21:00 to 03:00 UTC.
    expect(openTime(night, ['Europe/Paris', 'UTC'], monday, tuesday)).toBe(6 * HOUR);
    expect(openTime(night, ['UTC'], monday, monday + 3 * week)).toBe(15 * HOUR);
    expect(openTime([{ from: '04:00', to: '04:00' }], ['UTC'], monday, tuesday)).toBe(24 * HOUR);
    const fixed = [{ ...night[0], timeZone: 'Asia/Kolkata' }];
    expect(openTime(fixed, ['UTC'], monday, at('2026-01-05T17:00:00Z'))).toBe(HOUR / 2);
  });

  it('is as long as the clocks of the zone say when they are turned', () => {
    const early = [{ from: '01:00', to: '04:00' }];
    // In Paris the night of 29 March 2026 lacks an hour, that of 25 October has one more.
    expect(openTime(early, ['Europe/Paris'], at('2026-03-28T12:00:00Z'), at('2026-03-29T12:00:00Z'))).toBe(2 * HOUR);
    expect(openTime(early, ['Europe/Paris'], at('2026-10-24T12:00:00Z'), at('2026-10-25T12:00:00Z'))).toBe(4 * HOUR);
  });

  it('agrees with isOpen minute for minute, however it is asked for', () => {
    const clock = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'));
    const zone = fc.constantFrom('UTC', 'Europe/Paris', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/St_Johns');
    const window: fc.Arbitrary<MaintenanceWindow> = fc.record(
      { days: fc.subarray([...WEEKDAYS], { minLength: 1 }), from: clock, to: clock, timeZone: zone },
      { requiredKeys: ['from', 'to'] },
    );
    // Around the nights in which these zones turn their clocks, and a plain one.
    const begin = fc.constantFrom(
      ...['2026-03-28', '2026-10-24', '2026-04-04', '2026-10-03', '2026-03-07', '2026-11-01', '2026-06-15'].map((day) =>
        at(`${day}T18:00:00Z`),
      ),
    );
    const minutes = fc.integer({ min: 0, max: 40 * 60 });
    fc.assert(
      fc.property(
        fc.array(window, { minLength: 1, maxLength: 3 }),
        fc.uniqueArray(zone, { minLength: 1, maxLength: 3 }),
        ...([begin, minutes, fc.array(minutes, { maxLength: 3 })] as const),
        (windows, zones, from, length, stops) => {
          const to = from + length * MINUTE;
          let open = 0;
          for (let now = from; now < to; now += MINUTE)
            if (zones.some((one) => isOpen(windows, one, now))) open += MINUTE;
          for (const stop of stops.filter((one) => one < length).sort((a, b) => a - b))
            openTime(windows, zones, from, from + stop * MINUTE);
          expect(openTime(windows, zones, from, to)).toBe(open);
        },
      ),
      { numRuns: 20 },
    );
  });
});
