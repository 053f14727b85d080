import type { Desired, DeviceConfiguration } from '@vigie/protocol';
import { configurationDigest } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { isOnlyConfigured, judgeConfiguration, NO_CONFIGURATION, renumbered } from './configuration.js';
import { EMPTY_STATE, type InstallState } from './journal.js';

const release = { name: 'm', version: '1.0.0', digest: 'a'.repeat(64) };
const persons: DeviceConfiguration = { labels: ['person'] };
const desired: Desired = {
  ...{ deviceId: 'b', generation: 7, issuedAt: '2026-11-21T07:00:00.000Z', release },
  ...{ retry: true, trial: { minFrames: 3, compareEvery: 2 }, configuration: persons },
};

describe('judgeConfiguration', () => {
  const digest = configurationDigest(persons);

  it('puts in force what the running model can find', () => {
    expect(judgeConfiguration(persons, ['person', 'car'], NO_CONFIGURATION)).toEqual({
      inForce: persons,
      reported: { digest, ok: true },
    });
    expect(judgeConfiguration(persons, null, NO_CONFIGURATION).reported).toEqual({ digest, ok: true });
    expect(judgeConfiguration(null, ['person'], { inForce: persons, reported: null })).toEqual(NO_CONFIGURATION);
  });

  it('says which labels the model lacks, and goes as far as it can', () => {
    expect(judgeConfiguration(persons, ['car'], NO_CONFIGURATION)).toEqual({
      inForce: persons,
      reported: { digest, ok: false, code: 'LABEL_UNKNOWN', message: 'the running model names no "person"' },
    });
  });

  it('refuses what makes no sense and keeps what was in force', () => {
    const wrong = { rules: [{ name: 'a', zone: 'nowhere' }] };
    const before = { inForce: persons, reported: null };
    expect(judgeConfiguration(wrong, null, before)).toMatchObject({
      inForce: persons,
      reported: { ok: false, code: 'PLACE_UNKNOWN' },
    });
  });
});

describe('a desired state in which only the configuration is new', () => {
  const next = { ...desired, generation: 8, issuedAt: '2026-11-21T08:00:00.000Z', configuration: { labels: ['car'] } };

  it('is told from every other one', () => {
    expect(isOnlyConfigured(desired, next)).toBe(true);
    const { configuration: _, ...without } = next;
    expect(isOnlyConfigured(desired, without)).toBe(true);
    // PostgreSQL gives the members of an object in another order.
    expect(isOnlyConfigured(desired, { ...next, trial: { compareEvery: 2, minFrames: 3 } })).toBe(true);
    expect(isOnlyConfigured(desired, { ...next, configuration: persons })).toBe(false);
    expect(isOnlyConfigured(desired, { ...next, retry: false })).toBe(false);
    expect(isOnlyConfigured(desired, { ...next, release: { ...release, version: '2.0.0' } })).toBe(false);
    expect(isOnlyConfigured(null, next)).toBe(false);
  });

  it('gives an install that is under way or over its number, and tries nothing again', () => {
    const journal = {
      generation: 7,
      release,
      phase: 'DOWNLOADING' as const,
      error: null,
      attempt: 2,
      loads: 0,
      killed: 0,
    };
    const failed = { x: { code: 'INTERNAL' as const, generation: 7 }, y: { code: 'INTERNAL' as const, generation: 3 } };
    const state: InstallState = {
      ...EMPTY_STATE,
      generation: 7,
      desired,
      newestIssuedAt: desired.issuedAt,
      journal,
      failed,
    };
    expect(renumbered(state, next)).toEqual({
      ...state,
      generation: 8,
      desired: next,
      newestIssuedAt: next.issuedAt,
      journal: { ...journal, generation: 8 },
      failed: { x: { code: 'INTERNAL', generation: 8 }, y: failed.y },
    });
  });
});
