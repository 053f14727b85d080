import { join } from 'node:path';
import { hostPlatform } from '@vigie/models/evaluate/host-platform';
import { readBoardMemory } from './io/board-memory.js';
import type { ChunkDelivery } from './io/delivery/chunk-delivery.js';
import type { FileSystem } from './io/file-system.js';
import type { FleetConnection } from './io/fleet-connection.js';
import { readGolden } from './io/golden-reader.js';
import type { Identity } from './io/identity.js';
import { SlotStore } from './io/slot-store.js';
import { BenchmarkMode, type BenchmarkPorts } from './update/benchmark-mode.js';
import type { UpdateStatus } from './update/status.js';

/** Phases in which no install is under way. */
const SETTLED: readonly UpdateStatus['phase'][] = [
  ...(['IDLE', 'COMMITTED', 'SHADOWED', 'ROLLED_BACK', 'INCONCLUSIVE', 'FAILED'] as const),
];

/** What benchmarks take from the board that they run on. */
export interface BenchmarkBoard extends Pick<BenchmarkPorts, 'clock' | 'log' | 'factory' | 'readMemory' | 'readHeat'> {
  dataDirectory: string;
  bundledPackage: string | null;
  identity: Identity | null;
  agentVersion: string;
  hardwareClass: string;
  files?: FileSystem;
}

/**
 * Benchmarks of a lab board, in a folder and with a data ledger of their own: they share nothing with installs but the line.
 * `deliveryFor`: brings chunks, with its ledger in that folder.
 */
export function wireBenchmark(
  board: BenchmarkBoard,
  fleet: FleetConnection,
  deliveryFor: (dataDirectory: string) => ChunkDelivery,
  phase: () => UpdateStatus['phase'],
): BenchmarkMode {
  const { clock, log, factory, identity, agentVersion, hardwareClass, readMemory, readHeat, files: disk } = board;
  const dataDirectory = join(board.dataDirectory, 'benchmark');
  const delivery = deliveryFor(dataDirectory);
  return new BenchmarkMode({
    ...{ clock, log, factory, readGolden, readMemory, readHeat },
    deviceId: fleet.deviceId,
    lab: identity?.role === 'lab',
    idle: () => SETTLED.includes(phase()),
    describeUncertified: (release, signal) => fleet.releases.describeUncertified(release, signal),
    packages: new SlotStore({ disk, dataDirectory, bundledDirectory: board.bundledPackage, delivery }),
    board: { agentVersion, hardwareClass },
    residentBytes: (pid) => readBoardMemory(pid).liveBytes,
    platform: hostPlatform,
  });
}
