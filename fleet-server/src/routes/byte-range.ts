/** What of an object is asked for. */
export type RangeRequest =
  | { kind: 'whole' }
  | { kind: 'part'; offset: number; length: number }
  | { kind: 'impossible' };

/**
 * Reads a `Range` header for an object of `size` bytes (RFC 9110, section 14.1.2 and 14.2). One range only: a list, another unit or
 * nonsense is answered with the whole object, as a server may.
 */
export function parseRange(header: string | undefined, size: number): RangeRequest {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return { kind: 'whole' };
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? { kind: 'impossible' } : { kind: 'part', offset: size - length, length };
  }
  const offset = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== '' && Number(match[2]) < offset) return { kind: 'whole' };
  return offset >= size ? { kind: 'impossible' } : { kind: 'part', offset, length: last - offset + 1 };
}
