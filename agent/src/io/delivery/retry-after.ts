/**
 * `Retry-After` as a wait, ms: seconds or an HTTP date (RFC 9110, section 10.2.3). Null where there is none that makes sense. `now`: ms
 * since 1970.
 */
export function retryAfterMs(value: string | string[] | undefined, now: number): number | null {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Only a date as RFC 9110 has it: Date.parse would take much more.
  if (!/^[A-Z][a-z]{2,8},? .*GMT$/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
