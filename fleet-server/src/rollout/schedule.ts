import { parse, validateDetailed } from 'node-cron';
import type { Instant } from './model.js';
import { WEEKDAYS } from './spec.js';
import { type WallTime, wallTime } from './zone-time.js';

/** A cron line that must match within so many days: 29 February on a given weekday needs up to 40 years, a typing error for ever. */
const HORIZON_DAYS = 366 * 5;
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;

/** What is wrong with a cron line; null: nothing. Five fields, node-cron's notation. */
export function cronProblem(expression: string): string | null {
  if (expression.trim().split(/\s+/).length !== 5) return `"${expression}" has not five fields, such as "0 2 * * sat"`;
  const { valid, errors } = validateDetailed(expression);
  return valid ? null : errors.map((error) => error.message).join('; ');
}

/** The first minute after `after` at which the line matches on the clock of the zone; null: none within five years. */
export function nextRun(expression: string, timeZone: string, after: Instant): Instant | null {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = parse(expression);
  const dayMatches = (wall: WallTime): boolean => {
    const last = new Date(Date.UTC(wall.year, wall.month, 0)).getUTCDate();
    const weekday = (WEEKDAYS.indexOf(wall.weekday) + 1) % 7;
    return (
      month.includes(wall.month) &&
      dayOfMonth.some((day) => (day === 'L' ? wall.day === last : Number(day) === wall.day)) &&
      dayOfWeek.some((day) => weekdayMatches(String(day), weekday, wall.day, last))
    );
  };
  const first = (Math.floor(after / MINUTE_MS) + 1) * MINUTE_MS;
  const end = first + HORIZON_DAYS * DAY_MINUTES * MINUTE_MS;
  for (let at = first; at < end; ) {
    const wall = wallTime(at, timeZone);
    if (!dayMatches(wall)) {
      // To an hour before midnight at once: no zone turns its clocks by more than that.
      const left = DAY_MINUTES - wall.minute;
      at = left > 120 ? at + (left - 60) * MINUTE_MS : nextQuarter(at);
    } else if (!hour.includes(Math.floor(wall.minute / 60))) at = nextQuarter(at);
    else if (minute.includes(wall.minute % 60)) return at;
    else at += MINUTE_MS;
  }
  return null;
}

/** Zones differ from UTC by whole quarters of an hour: steps of 15 minutes miss no beginning of an hour. */
function nextQuarter(at: Instant): Instant {
  const quarter = 15 * MINUTE_MS;
  return (Math.floor(at / quarter) + 1) * quarter;
}

/** `3`: Wednesdays; `3#2`: the second Wednesday; `3L`: the last one. Sunday is 0. */
function weekdayMatches(field: string, weekday: number, day: number, lastDay: number): boolean {
  const [, wanted, ordinal] = /^(\d)(#\d|L)?$/.exec(field) ?? [];
  if (Number(wanted) % 7 !== weekday) return false;
  if (ordinal === undefined) return true;
  return ordinal === 'L' ? day + 7 > lastDay : Math.ceil(day / 7) === Number(ordinal.slice(1));
}
