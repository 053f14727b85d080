import { createHash } from 'node:crypto';
import type { InstallErrorCode } from '@vigie/protocol';

/** How a simulated board spends its time, ms. What an install does varies by a third from board to board. */
export interface SimulatedTiming {
  telemetryMs: number;
  /** Mean time between two events; 0: none. */
  eventMs: number;
  preflightMs: number;
  verifyMs: number;
  selfTestMs: number;
  trialMs: number;
  /** A fleet hears of new metadata in one moment; each board waits a random part of this. */
  metadataSpreadMs: number;
  /** Patience for one message before it counts as lost, and for one chunk before it is asked for again. */
  messageMs: number;
}

export const DEFAULT_TIMING: SimulatedTiming = {
  telemetryMs: 10_000,
  eventMs: 300_000,
  preflightMs: 100,
  verifyMs: 200,
  selfTestMs: 1000,
  trialMs: 5000,
  metadataSpreadMs: 3000,
  messageMs: 30_000,
};

/** For tests: an install takes a fraction of a second. */
export const QUICK_TIMING: SimulatedTiming = {
  telemetryMs: 500,
  eventMs: 0,
  preflightMs: 10,
  verifyMs: 10,
  selfTestMs: 20,
  trialMs: 100,
  metadataSpreadMs: 50,
  messageMs: 10_000,
};

/** What goes wrong, as shares of the boards, 0..1. Which boards: a stable hash of their ids, so that a test can be repeated. */
export interface SimulatedFaults {
  /** Package digest → how it fails, and on how many boards. A trial error rolls back, any other code ends in FAILED. */
  releases?: Record<string, { share: number; code: InstallErrorCode }>;
  /** Never connect. */
  offline?: number;
  /** Take ten times as long for everything. */
  slow?: number;
  /** Send what must not be lost twice. */
  duplicates?: number;
  /** Are too hot for a judgement: their trials end INCONCLUSIVE. */
  hot?: number;
}

/** 0..1, the same at every call for the same board and purpose. */
export function stableDraw(deviceId: string, purpose: string): number {
  return createHash('sha256').update(`${purpose}:${deviceId}`).digest().readUInt32BE(0) / 2 ** 32;
}

/** What a board's faults are, drawn once. */
export interface BoardFaults {
  offline: boolean;
  slow: boolean;
  duplicates: boolean;
  hot: boolean;
  /** Package digest → code. */
  failing: ReadonlyMap<string, InstallErrorCode>;
}

export function faultsOf(deviceId: string, faults: SimulatedFaults): BoardFaults {
  const hit = (purpose: string, share: number | undefined) => stableDraw(deviceId, purpose) < (share ?? 0);
  const failing = Object.entries(faults.releases ?? {}).filter(([digest, { share }]) => hit(digest, share));
  return {
    offline: hit('offline', faults.offline),
    slow: hit('slow', faults.slow),
    duplicates: hit('duplicates', faults.duplicates),
    hot: hit('hot', faults.hot),
    failing: new Map(failing.map(([digest, { code }]) => [digest, code])),
  };
}
