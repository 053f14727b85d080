import type { Instant } from './model.js';
import { type MaintenanceWindow, WEEKDAYS, type Weekday } from './spec.js';
import { dayBefore, wallTime } from './zone-time.js';

/** Boards without a zone of their own live in UTC. */
export const DEFAULT_ZONE = 'UTC';

/** May a board in this zone be told now? Without windows: always. */
export function isOpen(windows: readonly MaintenanceWindow[], timeZone: string | null, now: Instant): boolean {
  return (
    windows.length === 0 || windows.some((window) => holds(window, window.timeZone ?? timeZone ?? DEFAULT_ZONE, now))
  );
}

/** From `from` (inclusive) to `to` (exclusive) on the clock of the zone; equal: the whole day. */
function holds({ days = [...WEEKDAYS], from, to }: MaintenanceWindow, timeZone: string, now: Instant): boolean {
  const { weekday, minute } = wallTime(now, timeZone);
  const [start, end] = [minutesOf(from), minutesOf(to)];
  const on = (day: Weekday) => days.includes(day);
  if (start < end) return on(weekday) && minute >= start && minute < end;
  return (on(weekday) && minute >= start) || (on(dayBefore(weekday)) && minute < end) || (start === end && on(weekday));
}

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return hours * 60 + minutes;
}
