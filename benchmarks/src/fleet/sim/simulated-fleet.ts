import { accessSync, constants, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Identity } from '@vigie/agent/io/identity';
import type { Precision, ReleaseReference } from '@vigie/protocol';
import { pause, waitFor } from '../../rig/wait.js';
import { DEFAULT_TIMING, type SimulatedFaults, type SimulatedTiming } from './behaviour.js';
import { addCounts, type BoardCounters, NO_COUNTS } from './counters.js';
import { SimulatedBoard } from './simulated-board.js';

export interface SimulatedFleetOptions {
  /** Of boards that are enrolled: see `enrollBoards`. */
  identities: readonly Identity[];
  timing?: Partial<SimulatedTiming>;
  faults?: SimulatedFaults;
  /** What the boards detect with before their first release. */
  model?: { release: ReleaseReference; precision: Precision };
  /** Boards that are started in one second; absent: all at once. */
  startsPerSecond?: number;
  onProblem?(deviceId: string, message: string): void;
}

/** What a fleet has done so far, and how it stands. */
export interface FleetTally {
  counters: BoardCounters;
  boards: number;
  connected: number;
  /** Bytes that came over the present and past connections of the boards. */
  receivedBytes: number;
  /** Messages in outboxes that the server has not acknowledged. */
  unacknowledged: number;
  /** Boards by phase, and by the digest of what they detect with (`none`). */
  phases: Record<string, number>;
  running: Record<string, number>;
  /** Least and most that one board has verified; boards that never connect are left out. */
  signaturesPerBoard: { least: number; most: number };
  hashesPerBoard: { least: number; most: number };
}

/** Simulated boards in this process: some thousands per core. */
export class SimulatedFleet {
  readonly boards: readonly SimulatedBoard[];
  readonly #directory: string;
  readonly #startsPerSecond: number;

  constructor(options: SimulatedFleetOptions) {
    this.#directory = mkdtempSync(join(memoryFolder(), 'vigie-sim-'));
    this.#startsPerSecond = options.startsPerSecond ?? Number.POSITIVE_INFINITY;
    const { identities, timing, faults = {}, model, onProblem } = options;
    this.boards = identities.map(
      (identity) =>
        new SimulatedBoard({
          ...{ identity, directory: join(this.#directory, identity.deviceId), faults, model, onProblem },
          timing: { ...DEFAULT_TIMING, ...timing },
        }),
    );
  }

  /** Switches on all boards but those that are offline for good. Resolves once they try to connect. */
  async start(): Promise<void> {
    const beganAt = performance.now();
    const starting: Promise<void>[] = [];
    for (const [index, board] of this.boards.entries()) {
      if (board.faults.offline) continue;
      const due = beganAt + (index / this.#startsPerSecond) * 1000;
      if (due > performance.now()) await pause(due - performance.now());
      starting.push(board.start());
    }
    await Promise.all(starting);
  }

  /** Resolves when every board that is not offline for good is connected; throws WaitTimeoutError. */
  async connected(timeoutMs = 60_000): Promise<void> {
    await waitFor(
      'the simulated boards to be connected',
      () => this.boards.every((board) => board.connected || board.faults.offline),
      { timeoutMs, everyMs: 50 },
    );
  }

  board(deviceId: string): SimulatedBoard {
    const found = this.boards.find((board) => board.deviceId === deviceId);
    if (found === undefined) throw new RangeError(`no simulated board is called "${deviceId}"`);
    return found;
  }

  tally(): FleetTally {
    const reachable = this.boards.filter((board) => !board.faults.offline);
    return {
      counters: this.boards.reduce((sum, board) => addCounts(sum, board.counters), { ...NO_COUNTS }),
      boards: this.boards.length,
      connected: this.boards.filter((board) => board.connected).length,
      receivedBytes: this.boards.reduce((sum, board) => sum + board.receivedBytes, 0),
      unacknowledged: this.boards.reduce((sum, board) => sum + board.unacknowledged, 0),
      phases: countBy(this.boards, (board) => board.phase),
      running: countBy(this.boards, (board) => board.running?.digest ?? 'none'),
      signaturesPerBoard: range(reachable.map((board) => board.counters.signaturesVerified)),
      hashesPerBoard: range(reachable.map((board) => board.counters.hashesVerified)),
    };
  }

  /** Switches all boards off and removes their folders. */
  async stop(): Promise<void> {
    await Promise.all(this.boards.map((board) => board.stop()));
    // An update that was cut off may still write its last file.
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** A folder in memory where the machine has one: ten thousand boards write metadata. */
function memoryFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1;
  return counts;
}

function range(values: readonly number[]): { least: number; most: number } {
  if (values.length === 0) return { least: 0, most: 0 };
  return { least: Math.min(...values), most: values.reduce((most, value) => Math.max(most, value), 0) };
}
