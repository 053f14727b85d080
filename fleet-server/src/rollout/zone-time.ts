import type { Instant } from './model.js';
import { WEEKDAYS, type Weekday } from './spec.js';

/** What a clock on the wall shows. `month` 1..12, `weekday` of WEEKDAYS. */
export interface WallTime {
  year: number;
  month: number;
  day: number;
  weekday: Weekday;
  /** Minutes since midnight. */
  minute: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws RangeError for a zone that is not in the IANA database. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    formats.set(timeZone, format);
  }
  return format;
}

export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Clocks are turned, and zones differ from UTC, by whole quarters of an hour. */
const QUARTER_MS = 900_000;

/** Of each zone the quarter of an hour that was asked for last: asking Intl costs a hundred times as much as adding. */
const offsets = new Map<string, { quarter: number; offset: number }>();

/** What the clocks of a zone are before UTC at a moment, ms. Throws RangeError for a zone that is not in the IANA database. */
export function offsetAt(at: Instant, timeZone: string): number {
  const quarter = Math.floor(at / QUARTER_MS);
  const known = offsets.get(timeZone);
  if (known?.quarter === quarter) return known.offset;
  const shown = formatOf(timeZone).formatToParts(quarter * QUARTER_MS);
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(shown.find((one) => one.type === type)?.value);
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'));
  const offset = wall - quarter * QUARTER_MS;
  offsets.set(timeZone, { quarter, offset });
  return offset;
}

/** Clock and calendar of a zone at a moment. */
export function wallTime(at: Instant, timeZone: string): WallTime {
  const wall = new Date(at + offsetAt(at, timeZone));
  return {
    year: wall.getUTCFullYear(),
    month: wall.getUTCMonth() + 1,
    day: wall.getUTCDate(),
    weekday: WEEKDAYS[(wall.getUTCDay() + 6) % 7],
    minute: wall.getUTCHours() * 60 + wall.getUTCMinutes(),
  };
}

/** The day before, in the week. */
export function dayBefore(day: Weekday): Weekday {
  return WEEKDAYS[(WEEKDAYS.indexOf(day) + 6) % 7];
}
