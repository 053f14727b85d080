import { expect, test } from 'vitest';
import { EMPTY_STATE, parseState, rememberFailure } from './journal.js';

const release = { name: 'person', version: '1.1.0', digest: 'b'.repeat(64) };
const desired = { deviceId: 'board-1', generation: 7, issuedAt: '2026-11-21T07:00:00.000Z', release };
const first = {
  schema: 1,
  generation: 7,
  desired,
  newestIssuedAt: desired.issuedAt,
  active: { ...release, digest: 'a'.repeat(64) },
  previous: null,
  journal: { generation: 7, release, phase: 'TRIAL', error: null, loads: 1 },
  failed: { ['c'.repeat(64)]: { code: 'GOLDEN_MISMATCH', generation: 3 } },
};

test('a state file of schema 1 is read as what it meant', () => {
  const state = parseState(first);
  expect(state).toEqual({
    ...first,
    schema: 2,
    journal: { ...first.journal, attempt: 1, killed: 0 },
  });
  expect(parseState({ ...first, journal: null }).journal).toBeNull();
});

test('what schema 1 would have tried again is tried again, and what it had given up is not', () => {
  const failed = (code: string) =>
    parseState({ ...first, journal: { ...first.journal, phase: 'FAILED', error: { code, message: '' } } }).journal;
  expect(failed('CHUNK_MISSING')?.retryAt).toBeDefined();
  expect(failed('GOLDEN_MISMATCH')?.retryAt).toBeUndefined();
});

test('anything else is refused by the name of its field', () => {
  expect(parseState(EMPTY_STATE)).toEqual(EMPTY_STATE);
  expect(() => parseState({ ...first, schema: 3 })).toThrow('/schema');
  expect(() => parseState({ ...first, active: { name: 'x' } })).toThrow('/active');
  expect(() => parseState(null)).toThrow();
});

test('remembers the newest failures only', () => {
  let failed = {};
  for (let i = 0; i < 120; i += 1) failed = rememberFailure(failed, `d${i}`, { code: 'INTERNAL', generation: i });
  expect(Object.keys(failed)).toHaveLength(100);
  expect(Object.keys(failed).at(-1)).toBe('d119');
});
