import { describe, expect, it } from 'vitest';
import { boxAreaBin, DetectionHistograms, scoreBin } from './histograms.js';
import { RateMeter, SampleWindow } from './statistics.js';

describe('SampleWindow', () => {
  it('gives nearest-rank percentiles of the newest samples only', () => {
    const window = new SampleWindow(100);
    expect(window.percentiles()).toBeNull();
    for (let value = -50; value <= 100; value++) window.add(value);
    expect(window.count).toBe(100);
    expect(window.percentiles()).toEqual({ p50: 50, p95: 95, p99: 99 });
    window.clear();
    window.add(3);
    window.add(Number.NaN);
    expect(window.percentiles()).toEqual({ p50: 3, p95: 3, p99: 3 });
  });

  it('refuses a capacity that is none', () => {
    expect(() => new SampleWindow(0)).toThrow(RangeError);
  });
});

describe('RateMeter', () => {
  it('counts per second over its window, from the start and after a stop', () => {
    const meter = new RateMeter(5000);
    expect(meter.rate(0)).toBe(0);
    for (let at = 0; at <= 2000; at += 100) meter.mark(at);
    expect(meter.rate(2000)).toBeCloseTo(10, 0);
    for (let at = 2100; at <= 20_000; at += 100) meter.mark(at);
    expect(meter.rate(20_000)).toBeCloseTo(10, 0);
    expect(meter.rate(24_000)).toBeLessThan(3);
    expect(meter.rate(26_000)).toBe(0);
  });

  it('stays right when more happens than it remembers', () => {
    const meter = new RateMeter(10_000, 16);
    for (let at = 0; at <= 1000; at += 10) meter.mark(at);
    expect(meter.rate(1000)).toBeCloseTo(100, 0);
  });
});

describe('DetectionHistograms', () => {
  it('bins scores in tenths and areas in powers of two', () => {
    expect([0, 0.0999, 0.1, 0.95, 1].map(scoreBin)).toEqual([0, 0, 1, 9, 9]);
    expect([0, 2 ** -12, 2 ** -10, 2 ** -9, 0.5, 1].map(boxAreaBin)).toEqual([0, 0, 0, 1, 9, 9]);
  });

  it('counts until taken', () => {
    const histograms = new DetectionHistograms();
    histograms.add([{ classId: 0, label: 'person', score: 0.45, box: [0, 0, 0.5, 0.5] }]);
    const { scoreHistogram, boxAreaHistogram } = histograms.take();
    expect(scoreHistogram).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    expect(boxAreaHistogram).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    expect(histograms.take().scoreHistogram).toEqual(new Array(10).fill(0));
  });
});
