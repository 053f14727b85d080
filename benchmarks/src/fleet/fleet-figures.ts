import { percentile } from '../measure/percentiles.js';

/** What one phase took. */
export interface Interval {
  elapsedMs: number;
  /** Over the loopback interface, both directions, headers included. */
  bytes: number;
}

export function intervalMetrics(name: string, { elapsedMs, bytes }: Interval): Record<string, number> {
  return { [`${name}.elapsedMs`]: elapsedMs, [`${name}.wireBytes`]: bytes };
}

/** Time from a measurement on the board to the API's answer that shows it, ms. */
export function freshnessMetrics(name: string, samples: readonly number[]): Record<string, number> {
  const figure = (share: number) => percentile(samples, share);
  return {
    [`${name}.telemetryToQueryableMs.p50`]: figure(0.5),
    [`${name}.telemetryToQueryableMs.p99`]: figure(0.99),
    [`${name}.telemetryToQueryableMs.count`]: samples.length,
  };
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
