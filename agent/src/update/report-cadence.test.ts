import type { Reported } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { ReportCadence } from './report-cadence.js';

const release = { name: 'person', version: '1.0.0', digest: 'a'.repeat(64) };
const report = (framesRun: number, more: Partial<Reported> = {}): Reported => ({
  ...{ bootId: 'boot', sequence: framesRun, at: '2026-01-01T00:00:00.000Z', generation: 1, phase: 'COMMITTED' },
  ...{ active: { release, framesRun, since: '2026-01-01T00:00:00.000Z' }, candidate: null, error: null },
  ...{ agentVersion: '0.1.0', hardwareClass: 'pi4' },
  ...more,
});

describe('ReportCadence', () => {
  it('repeats a change soon, until a report has shown that frames were run since', () => {
    const cadence = new ReportCadence();
    cadence.note(report(5), 0);
    expect(cadence.waitMs(0)).toBe(10_000);
    cadence.note(report(5), 10_000);
    expect(cadence.waitMs(10_000)).toBe(10_000);
    cadence.note(report(6), 20_000);
    expect(cadence.waitMs(20_000)).toBe(60_000);
  });

  it('gives up after two minutes without a frame', () => {
    const cadence = new ReportCadence();
    cadence.note(report(5), 0);
    cadence.note(report(5), 119_999);
    expect(cadence.waitMs(119_999)).toBe(10_000);
    expect(cadence.waitMs(120_000)).toBe(60_000);
  });

  it('repeats once what a board without a model has to say', () => {
    const cadence = new ReportCadence();
    cadence.note(report(0, { active: null }), 0);
    expect(cadence.waitMs(0)).toBe(10_000);
    cadence.note(report(0, { active: null }), 10_000);
    expect(cadence.waitMs(10_000)).toBe(60_000);
  });

  it.each([
    ['another phase', { phase: 'TRIAL' }],
    ['another generation', { generation: 2 }],
    ['another release', { active: { release: { ...release, digest: 'b'.repeat(64) }, framesRun: 9, since: 'T' } }],
    ['a candidate', { candidate: release }],
    ['an error', { error: { code: 'CHUNK_MISSING', message: 'gone' } }],
    ['another configuration', { configuration: { digest: 'c'.repeat(64), code: null } }],
  ] as [string, Partial<Reported>][])('is quick again after %s', (_what, change) => {
    const cadence = new ReportCadence();
    cadence.note(report(1), 0);
    cadence.note(report(2), 500_000);
    expect(cadence.waitMs(500_000)).toBe(60_000);
    cadence.note(report(3, change), 600_000);
    expect(cadence.waitMs(600_000)).toBe(10_000);
  });

  it('is in no hurry before anything was said', () => {
    expect(new ReportCadence().waitMs(5)).toBe(60_000);
  });
});
