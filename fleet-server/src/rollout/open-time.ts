import type { Instant } from './model.js';
import { type MaintenanceWindow, WEEKDAYS } from './spec.js';
import { DEFAULT_ZONE } from './windows.js';
import { offsetAt } from './zone-time.js';

const QUARTER_MS = 900_000;
const HALF_DAY_MS = 43_200_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Spans that are remembered: a running rollout asks for the same one again every second, a little longer each time. */
const REMEMBERED = 64;

const known = new Map<string, { to: Instant; ms: number }>();

/**
 * Of the time between two moments, that in which a window was open for at least one of the zones, ms: what deadlines count.
 * Without windows it is all of it. `zones`: of the boards; without any, UTC. Agrees with `isOpen`, minute for minute.
 */
export function openTime(
  windows: readonly MaintenanceWindow[],
  zones: readonly string[],
  from: Instant,
  to: Instant,
): number {
  if (to <= from) return 0;
  if (windows.length === 0) return to - from;
  const key = JSON.stringify([from, windows, zones]);
  const before = known.get(key);
  const begun = before !== undefined && before.to <= to ? before : { to: from, ms: 0 };
  const ms = begun.ms + measure(windows, zones.length === 0 ? [DEFAULT_ZONE] : zones, begun.to, to);
  known.delete(key);
  known.set(key, { to, ms });
  for (const oldest of known.keys()) {
    if (known.size <= REMEMBERED) break;
    known.delete(oldest);
  }
  return ms;
}

function measure(windows: readonly MaintenanceWindow[], zones: readonly string[], from: Instant, to: Instant): number {
  const perZone = new Map<string, MaintenanceWindow[]>();
  for (const window of windows)
    for (const zone of window.timeZone === undefined ? zones : [window.timeZone])
      perZone.set(zone, [...(perZone.get(zone) ?? []), window]);
  const spans: [Instant, Instant][] = [];
  for (const [zone, its] of perZone) {
    for (let at = from; at < to; ) {
      const { offset, end } = sameOffset(zone, at, to);
      for (const window of its) addOpen(spans, window, offset, at, end);
      at = end;
    }
  }
  spans.sort(([left], [right]) => left - right);
  let sum = 0;
  let reached = from;
  for (const [begin, end] of spans) {
    sum += Math.max(0, end - Math.max(begin, reached));
    reached = Math.max(reached, end);
  }
  return sum;
}

/** Until when, half a day on at the most, the clocks of a zone go on as now. They are turned at quarters of an hour (UTC). */
function sameOffset(zone: string, at: Instant, to: Instant): { offset: number; end: Instant } {
  const offset = offsetAt(at, zone);
  const end = Math.min(to, at + HALF_DAY_MS);
  if (offsetAt(end, zone) === offset) return { offset, end };
  let low = Math.floor(at / QUARTER_MS);
  let high = Math.ceil(end / QUARTER_MS);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * QUARTER_MS, zone) === offset) low = middle;
    else high = middle;
  }
  return { offset, end: Math.min(end, high * QUARTER_MS) };
}

/** Adds when a window is open between two moments with one offset to UTC, ms. */
function addOpen(
  spans: [Instant, Instant][],
  { days = [...WEEKDAYS], from, to }: MaintenanceWindow,
  offset: number,
  begin: Instant,
  end: Instant,
): void {
  const [start, stop] = [clock(from), clock(to)];
  // A window that goes over midnight belongs to the day before.
  const first = Math.floor((begin + offset) / DAY_MS) - 1;
  for (let day = first; day * DAY_MS < end + offset; day += 1) {
    // 1 January 1970 was a Thursday.
    if (!days.includes(WEEKDAYS[(((day + 3) % 7) + 7) % 7])) continue;
    const midnight = day * DAY_MS - offset;
    const opens = Math.max(begin, midnight + (start === stop ? 0 : start));
    const closes = Math.min(end, midnight + stop + (start < stop ? 0 : DAY_MS));
    if (opens < closes) spans.push([opens, closes]);
  }
}

function clock(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return (hours * 60 + minutes) * MINUTE_MS;
}
