import type { SwapPlan } from '@vigie/protocol';
import { InstallError } from './install-error.js';
import { DISK_RESERVE_BYTES } from './release-checks.js';

const MIB = 1024 * 1024;

/** What an inference child takes beside its model: Node, the engine, buffers (measured: 90 to 115 MiB). Bytes. */
const CHILD_BYTES = 96 * MIB;
/** A loaded model takes its file's size several times over: the file, the graph, the packed weights, the activations. */
const MODEL_FACTOR = 3;
/** Memory that must stay free for everything else: page cache, ffmpeg's peaks, the next snapshot. Bytes. */
export const MEMORY_RESERVE_BYTES = 48 * MIB;
/** Loading a model where none was measured, ms: Node's start, and so much per byte of the package. */
const LOAD_MS = 1500;
const LOAD_MS_PER_BYTE = 20 / MIB;

export interface BoardMemory {
  /** What a new process may take, bytes; null: the board does not say. */
  availableBytes: number | null;
  /** What the live child takes, bytes; null: none runs, or the board does not say. */
  liveBytes: number | null;
}

export interface InstallPlanInput {
  /** Bytes of the package that must still be written. */
  missingBytes: number;
  /** Bytes free on the disk that holds the slots. */
  freeBytes: number;
  /** All files of the package, bytes. */
  packageBytes: number;
  /** What the descriptor says that a child takes, bytes; absent: estimated. */
  memoryBytes?: number;
  memory: BoardMemory;
  /** How long the last model took to load and pass its self-test on this board, ms; null: not measured yet. */
  lastLoadMs: number | null;
  /** A shadow run was asked for: both models at the same time, or not at all. */
  shadow: boolean;
}

/**
 * Sums up all that an install needs before its first byte is fetched: the disk for one more slot beside those that are kept,
 * and memory for two children at once, or for one after the other. Throws InstallError DISK_FULL, MEMORY_SHORT.
 */
export function planInstall(input: InstallPlanInput): SwapPlan {
  const { missingBytes, freeBytes } = input;
  if (missingBytes + DISK_RESERVE_BYTES > freeBytes) {
    throw new InstallError(
      'DISK_FULL',
      `${missingBytes} bytes to write and ${DISK_RESERVE_BYTES} to spare do not fit into ${freeBytes} free ones; free some space`,
    );
  }
  return planMemory(input);
}

function planMemory({ memory, shadow, ...input }: InstallPlanInput): SwapPlan {
  const { availableBytes } = memory;
  const hot: SwapPlan = { mode: 'hot', expectedGapMs: 0 };
  const childBytes = input.memoryBytes ?? CHILD_BYTES + MODEL_FACTOR * input.packageBytes;
  const needed = childBytes + MEMORY_RESERVE_BYTES;
  if (availableBytes === null || needed <= availableBytes) return hot;
  const alone = availableBytes + (memory.liveBytes ?? 0);
  const short = `the model takes ${mib(childBytes)} MiB and ${mib(MEMORY_RESERVE_BYTES)} must stay free`;
  if (needed > alone) {
    throw new InstallError(
      'MEMORY_SHORT',
      `${short}; ${mib(alone)} MiB are there even without the model that runs now`,
    );
  }
  if (shadow) {
    throw new InstallError(
      'MEMORY_SHORT',
      `${short} beside the live model; a shadow run needs both: assign it without`,
    );
  }
  const estimate = LOAD_MS + LOAD_MS_PER_BYTE * input.packageBytes;
  return { mode: 'stop', expectedGapMs: Math.round(input.lastLoadMs ?? estimate) };
}

function mib(bytes: number): number {
  return Math.round(bytes / MIB);
}
