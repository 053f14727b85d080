import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appendRecord, readRecords, type SwapRecord } from './swap-record.js';
import { swapResult } from './swap-report.js';
import { memoryTrend, runFaults, steadyShare, swapFaults } from './swap-verdict.js';

const MIB = 2 ** 20;

function record(number: number, changes: Partial<SwapRecord> = {}): SwapRecord {
  const precision = number % 2 === 1 ? 'int8' : 'fp32';
  return {
    run: 1,
    number,
    release: { name: 'person-detector', version: '2.0.0', digest: 'a'.repeat(64), precision },
    durationMs: 1200,
    committedMs: 5000,
    figures: {
      framesMissed: 0,
      framesMissing: 0,
      steadyDropRate: 0,
      longestGapMs: 300,
      steadyGapP99Ms: 210,
      steadyGapMaxMs: 215,
      steadyFrames: 30,
      windowFrames: 40,
      sequenceResets: 0,
      histogram: [{ upToMs: null, steady: 30, window: 40 }],
    },
    tracks: null,
    idsContinue: null,
    disconnected: [],
    steady: { precision: precision === 'int8' ? 'fp32' : 'int8', cpus: precision === 'int8' ? 0.2 : 0.14 },
    residentBytes: (precision === 'int8' ? 330 : 310) * MIB + (number % 5) * MIB,
    throttledPeriods: null,
    ...changes,
  };
}

const hundred = (change: (number: number) => Partial<SwapRecord> = () => ({})): SwapRecord[] =>
  Array.from({ length: 100 }, (_, index) => record(index + 1, change(index + 1)));

describe('the limits of a run of swaps', () => {
  it('hold when nothing is wrong', () => {
    expect(runFaults(hundred(), 100, true)).toEqual([]);
  });

  it('allow five of a hundred more than two seconds, not six', () => {
    const slow = (count: number) => hundred((number) => (number <= count ? { durationMs: 2600 } : {}));
    expect(runFaults(slow(5), 100, true)).toEqual([]);
    expect(runFaults(slow(6), 100, true).join()).toContain('active after');
  });

  it('miss with one frame, one long gap, one lost client or one swap without a live frame', () => {
    const { figures } = record(1);
    for (const change of [
      { figures: { ...figures, framesMissed: 1 } },
      { figures: { ...figures, longestGapMs: 421 } },
      { figures: { ...figures, longestGapMs: Number.NaN } },
      { disconnected: ['MJPEG viewer: gone'] },
      { durationMs: null },
    ]) {
      expect(swapFaults(record(50, change))).toHaveLength(1);
      expect(
        runFaults(
          hundred((number) => (number === 50 ? change : {})),
          100,
          true,
        ).join(),
      ).toContain('1 of 100');
    }
  });

  it('ask for all swaps that were wanted', () => {
    expect(runFaults(hundred().slice(0, 99), 100, false).join()).toContain('only 99 of 100');
  });

  it('count the steady CPU of the model that needs more, under a quota only', () => {
    expect(steadyShare(hundred())).toBeCloseTo(0.4, 5);
    const busy = hundred((number) => ({ steady: { precision: number % 2 === 0 ? 'int8' : 'fp32', cpus: 0.36 } }));
    expect(runFaults(busy, 100, true).join()).toContain('72 % of the quota');
    expect(runFaults(busy, 100, false)).toEqual([]);
  });

  it('see memory that grows, and not that two models differ or a heap saws', () => {
    expect(Math.abs(memoryTrend(hundred())?.slope ?? 1e9)).toBeLessThan(0.05 * MIB);
    const growing = hundred((number) => ({ residentBytes: record(number).residentBytes + number * 0.5 * MIB }));
    expect(runFaults(growing, 100, true).join()).toContain('memory grows by');
    expect(memoryTrend(hundred().slice(0, 29))).toBeNull();
  });
});

describe('the file a run goes on from', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'vigie-swaps-'));

  it('gives back what was written, less a line that was cut off', () => {
    const file = join(scratch, 'swaps.jsonl');
    expect(readRecords(file)).toEqual([]);
    for (const one of hundred().slice(0, 3)) appendRecord(file, one);
    expect(readRecords(file)).toEqual(hundred().slice(0, 3));
    writeFileSync(file, '{"run":1,"numb', { flag: 'a' });
    expect(readRecords(file)).toHaveLength(3);
    appendRecord(file, record(4));
    expect(readRecords(file)).toHaveLength(4);
    writeFileSync(file, 'hello\nworld\n');
    expect(() => readRecords(file)).toThrow('line 1 is no record of a swap');
    rmSync(scratch, { recursive: true });
  });
});

describe('the result document', () => {
  it('holds the figures the limits are about, and the histogram', () => {
    const { metrics } = swapResult(hundred(), true);
    expect(metrics).toMatchObject({
      framesMissed: 0,
      'durationMs.p95': 1200,
      'swaps.held': 100,
      'steadyCpuShare.max': 0.4,
    });
    expect(metrics['gaps.window.longer']).toBe(4000);
    expect(Object.values(metrics).every(Number.isFinite)).toBe(true);
  });
});
