import type { Desired, ReleaseReference } from '@vigie/protocol';
import { describe, expect, test } from 'vitest';
import type { InstallState, JournalEntry } from './journal.js';
import { advance, isTerminal, mayFollow, TRANSITIONS } from './journal.js';
import { reconcile } from './reconcile.js';

const release: ReleaseReference = { name: 'person', version: '1.1.0', digest: 'b'.repeat(64) };
const desired = (changes: Partial<Desired> = {}): Desired => ({
  deviceId: 'board-1',
  generation: 7,
  issuedAt: '2026-11-21T07:00:00.000Z',
  release,
  ...changes,
});
const entry = (changes: Partial<JournalEntry>): JournalEntry => ({
  generation: 7,
  release,
  phase: 'DOWNLOADING',
  error: null,
  loads: 0,
  ...changes,
});
const action = (
  want: Desired | null,
  activeDigest: string | null,
  history: Partial<Pick<InstallState, 'journal' | 'failed'>> = {},
) => {
  const result = reconcile(want, { activeDigest }, { journal: null, failed: {}, ...history });
  return [
    result.kind,
    'reason' in result ? result.reason : 'code' in result ? result.code : 'resume' in result ? result.resume : null,
  ];
};
const other = 'a'.repeat(64);

describe('reconcile', () => {
  test('nothing is wanted', () => {
    expect(action(null, other)).toEqual(['nothing', 'no-desired']);
    expect(action(desired({ release: null }), other)).toEqual(['nothing', 'leave-as-is']);
  });

  test('the wanted model runs: says so once', () => {
    expect(action(desired(), release.digest)).toEqual(['adopt', null]);
    const journal = entry({ phase: 'COMMITTED' });
    expect(action(desired(), release.digest, { journal })).toEqual(['nothing', 'up-to-date']);
  });

  test('another model is wanted: installs it, goes on with it, repairs it', () => {
    expect(action(desired(), other)).toEqual(['install', false]);
    expect(action(desired(), other, { journal: entry({ phase: 'TRIAL', loads: 1 }) })).toEqual(['install', true]);
    expect(action(desired(), other, { journal: entry({ phase: 'COMMITTED' }) })).toEqual(['install', true]);
  });

  test('what failed is not tried again by itself, unless the cause was outside of it', () => {
    const failed = { [release.digest]: { code: 'GOLDEN_MISMATCH' as const, generation: 6 } };
    expect(action(desired(), other, { failed })).toEqual(['refuse', 'PREVIOUSLY_FAILED']);
    expect(action(desired({ retry: true }), other, { failed })).toEqual(['install', false]);
    const model = entry({ phase: 'FAILED', error: { code: 'GOLDEN_MISMATCH', message: '' } });
    expect(action(desired({ retry: true }), other, { journal: model })).toEqual(['nothing', 'already-answered']);
    const line = entry({ phase: 'FAILED', error: { code: 'CHUNK_MISSING', message: '' } });
    expect(action(desired(), other, { journal: line })).toEqual(['install', true]);
  });

  test('a model that takes the agent down is given up', () => {
    expect(action(desired(), other, { journal: entry({ phase: 'TRIAL', loads: 3 }) })).toEqual([
      'refuse',
      'TRIAL_CHILD_CRASHED',
    ]);
  });
});

describe('the journal', () => {
  test('knows every phase, and only ends lead nowhere but to a new offer', () => {
    for (const [phase, next] of Object.entries(TRANSITIONS)) {
      expect(next).toContain('OFFERED');
      expect(isTerminal(phase as JournalEntry['phase'])).toBe(next.length === 1);
    }
  });

  test('refuses a step that cannot be', () => {
    expect(mayFollow('DOWNLOADING', 'TRIAL')).toBe(false);
    expect(() => advance(entry({ phase: 'DOWNLOADING' }), 'COMMITTED')).toThrow(RangeError);
    expect(advance(entry({ phase: 'TRIAL' }), 'COMMITTED', { loads: 2 })).toMatchObject({
      phase: 'COMMITTED',
      loads: 2,
    });
  });
});
