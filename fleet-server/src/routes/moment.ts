import { Type } from '@sinclair/typebox';
import { Problem } from './problem.js';

/** A time in a query: RFC 3339 with its zone. */
export const Moment = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2})$',
  maxLength: 40,
  description: 'RFC 3339, such as 2026-11-21T07:00:00Z',
});

/** Throws Problem REQUEST_INVALID for a day that no calendar has. */
export function instantOf(text: string): Date;
export function instantOf(text: string | undefined): Date | undefined;
export function instantOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  // What PostgreSQL would refuse, or JavaScript takes for no time at all.
  if (Number.isNaN(time.getTime()) || time.getTime() < 0)
    throw new Problem('REQUEST_INVALID', `${text}: is no time; write it as 2026-11-21T07:00:00Z`);
  return time;
}
