import type { QuietTime } from './rule.js';

const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Is it quiet at this moment? Ends are as clocks on the wall of the zone show them: `from` inclusive, `to` exclusive. */
export function isQuiet(quiet: QuietTime, now: Date): boolean {
  const { day, minute } = wallClock(quiet.timeZone, now);
  const from = minutesOf(quiet.from);
  const to = minutesOf(quiet.to);
  const begins = (on: number) => quiet.days === undefined || quiet.days.includes(on);
  if (from === to) return begins(day);
  if (from < to) return begins(day) && minute >= from && minute < to;
  if (minute >= from) return begins(day);
  // After midnight it belongs to the day before.
  return minute < to && begins(day === 1 ? 7 : day - 1);
}

function minutesOf(text: string): number {
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
}

/** Day of the week (1 = Monday) and minute of the day in a zone. */
function wallClock(timeZone: string, now: Date): { day: number; minute: number } {
  const options = { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const parts = new Intl.DateTimeFormat('en-US', options).formatToParts(now);
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? '';
  return { day: WEEKDAYS.indexOf(of('weekday')) + 1, minute: Number(of('hour')) * 60 + Number(of('minute')) };
}
