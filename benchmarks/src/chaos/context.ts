import type { FleetRelease } from '../clients/fleet-client.js';
import type { ChaosBoard } from './chaos-board.js';
import type { ChaosServer } from './chaos-server.js';
import type { Victim } from './plan.js';
import type { ChaosFolder, ChaosState } from './state.js';
import type { Finding } from './tally.js';

/** What lanes and updates share of a run. */
export interface ChaosContext {
  readonly state: ChaosState;
  readonly folder: ChaosFolder;
  readonly boards: readonly ChaosBoard[];
  readonly server: ChaosServer;
  readonly releases: readonly FleetRelease[];
  readonly bundledDigest: string;
  /** A board that has not detected again by then is blind, ms. */
  readonly blindMs: number;
  /** This invocation ends: leave everything as it is. */
  readonly stopping: boolean;
  readonly stopped: Promise<void>;
  /** All kills are done: no further updates. */
  readonly calm: boolean;
  /** A kill was done on this lane. */
  done(lane: number, victim: Victim): void;
  find(kind: Finding['kind'], board: string, detail: string): void;
  save(): void;
  notePids(): void;
}
