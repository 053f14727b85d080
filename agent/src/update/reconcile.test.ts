import type { Desired, ReleaseReference } from '@vigie/protocol';
import { describe, expect, test } from 'vitest';
import type { InstallState, JournalEntry } from './journal.js';
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
  attempt: 1,
  loads: 0,
  killed: 0,
  ...changes,
});
const action = (
  want: Desired | null,
  activeDigest: string | null,
  history: Partial<Pick<InstallState, 'journal' | 'failed'>> = {},
) => {
  const result = reconcile({ desired: want, journal: null, failed: {}, ...history }, activeDigest);
  return [
    result.kind,
    'reason' in result
      ? result.reason
      : 'code' in result
        ? result.code
        : 'entry' in result
          ? result.entry !== null
          : null,
  ];
};
const other = 'a'.repeat(64);

describe('reconcile', () => {
  test('nothing is wanted', () => {
    expect(action(null, other)).toEqual(['nothing', 'leave-as-is']);
    expect(action(desired({ release: null }), other)).toEqual(['nothing', 'leave-as-is']);
  });

  test('the wanted model runs: says so once', () => {
    expect(action(desired(), release.digest)).toEqual(['adopt', null]);
    const journal = entry({ phase: 'COMMITTED' });
    expect(action(desired(), release.digest, { journal })).toEqual(['nothing', 'answered']);
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
    expect(action(desired({ retry: true }), other, { journal: model })).toEqual(['nothing', 'answered']);
    const retryAt = '2026-11-21T07:01:00.000Z';
    const line = entry({ phase: 'FAILED', error: { code: 'CHUNK_MISSING', message: '' }, retryAt });
    expect(action(desired(), other, { journal: line })).toEqual(['install', true]);
    const hot = entry({ phase: 'INCONCLUSIVE', error: { code: 'TRIAL_HOT', message: '' }, retryAt });
    expect(action(desired(), other, { journal: hot })).toEqual(['nothing', 'waiting']);
    const killed = entry({ phase: 'FAILED', error: { code: 'MODEL_LOAD_FAILED', message: 'SIGKILL' }, retryAt });
    expect(action(desired(), other, { journal: killed })).toEqual(['install', true]);
    const old = entry({ phase: 'FAILED', error: { code: 'AGENT_TOO_OLD', message: '' } });
    expect(action(desired(), other, { journal: old })).toEqual(['install', true]);
  });

  test('who went back from a withdrawn release is done, unless another one is wanted', () => {
    const back = { name: 'person', version: '1.0.0', digest: other };
    const journal = entry({ phase: 'COMMITTED', release: back, left: release.digest });
    expect(action(desired(), other, { journal })).toEqual(['nothing', 'answered']);
    const third = { name: 'person', version: '1.2.0', digest: 'c'.repeat(64) };
    expect(action(desired({ release: third }), other, { journal })).toEqual(['install', false]);
    expect(action(desired(), release.digest, { journal: { ...journal, phase: 'STAGED' } })).toEqual(['install', true]);
  });

  test('a model that takes the agent down is given up', () => {
    expect(action(desired(), other, { journal: entry({ phase: 'TRIAL', loads: 3 }) })).toEqual([
      'refuse',
      'TRIAL_CHILD_CRASHED',
    ]);
  });
});
