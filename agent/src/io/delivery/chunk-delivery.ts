import type { Clock } from '../../ports.js';
import {
  type BoardDelivery,
  type DeliveryOrder,
  monthOf,
  planDelivery,
  startDelayMs,
  type TransportName,
} from '../../update/delivery.js';
import { InstallError } from '../../update/install-error.js';
import type { Log } from '../../update/ports.js';
import type { FileSystem } from '../file-system.js';
import { nodeFileSystem } from '../node-file-system.js';
import type { ChunkTransport, FetchContext, WantedChunk } from './chunk-transport.js';
import { DataLedger } from './data-ledger.js';
import { DeliveryMeter, pause } from './delivery-meter.js';

export interface ChunkDeliveryOptions {
  deviceId: string;
  dataDirectory: string;
  board: BoardDelivery;
  /** The ways there are on this board. */
  transports: readonly ChunkTransport[];
  clock: Clock;
  /** Newest time that can be believed, ms since 1970. */
  now: () => number;
  log: Log;
  disk?: FileSystem;
}

/** What the downloads of a generation took. */
export interface DeliveryFigures {
  transport: TransportName;
  /** Bytes from the line, thrown away ones included. */
  fetchedBytes: number;
}

/** What a transport adds to a chunk at the most, bytes: topics and packets of MQTT, or a share of an HTTP request. */
const OVERHEAD_PER_CHUNK_BYTES = 256;

/** Brings chunks by whatever way policy allows, within its budgets. One download at a time. */
export class ChunkDelivery {
  private readonly ledger: DataLedger;
  private newest: { generation: number; transport: TransportName } | null = null;

  constructor(private readonly options: ChunkDeliveryOptions) {
    this.ledger = new DataLedger(options.dataDirectory, options.disk ?? nodeFileSystem);
  }

  /** What this generation took so far; null: nothing was fetched for it since the start of the agent. */
  figures(generation: number): DeliveryFigures | null {
    if (this.newest?.generation !== generation) return null;
    return { transport: this.newest.transport, fetchedBytes: this.ledger.generationBytes };
  }

  /** Fetches every chunk. Throws as a ChunkTransport does. */
  async fetch(
    wanted: readonly WantedChunk[],
    onChunk: FetchContext['onChunk'],
    order: DeliveryOrder,
    signal: AbortSignal,
  ): Promise<void> {
    if (wanted.length === 0) return;
    const { board, transports, clock, now, deviceId, log } = this.options;
    const plan = planDelivery(
      board,
      order.policy,
      transports.map((transport) => transport.name),
    );
    await this.ledger.open(monthOf(now()), order.generation);
    const meter = new DeliveryMeter(plan, this.ledger, clock);
    const bytes = wanted.reduce((sum, chunk) => sum + chunk.length, 0);
    meter.check(bytes + wanted.length * OVERHEAD_PER_CHUNK_BYTES);
    const delay = startDelayMs(deviceId, order, now());
    if (delay > 0) {
      log.info({ waitMs: delay }, 'the download waits, so that the fleet does not start as one');
      await pause(clock, delay, signal);
    }
    const remaining = new Map(wanted.map((chunk) => [chunk.sha256, chunk]));
    const context: FetchContext = {
      meter,
      signal,
      onChunk: async (sha256, content) => {
        await onChunk(sha256, content);
        remaining.delete(sha256);
      },
    };
    try {
      const ways = plan.transports.flatMap((name) => transports.filter((transport) => transport.name === name));
      await this.goAllWays(ways, remaining, context, order.generation);
    } finally {
      await this.ledger.settle();
    }
  }

  /** The next way when one comes to a standstill, in turns, until none of them gets any further. */
  private async goAllWays(
    ways: ChunkTransport[],
    remaining: ReadonlyMap<string, WantedChunk>,
    context: FetchContext,
    generation: number,
  ): Promise<void> {
    let standstills = 0;
    for (let turn = 0; remaining.size > 0; ) {
      const transport = ways[turn % ways.length];
      const before = remaining.size;
      this.newest = { generation, transport: transport.name };
      try {
        await transport.fetch([...remaining.values()], context, ways.length === 1);
      } catch (error) {
        const refused = isCode(error, 'DOWNLOAD_REFUSED');
        if ((!refused && !isCode(error, 'CHUNK_MISSING')) || ways.length === 1) throw error;
        const { message } = error as Error;
        this.options.log.warn({ transport: transport.name, detail: message }, 'chunks are fetched another way');
        if (refused) {
          ways.splice(turn % ways.length, 1);
          continue;
        }
        standstills = remaining.size < before ? 1 : standstills + 1;
        if (standstills > ways.length) throw error;
        turn += 1;
      }
    }
  }
}

function isCode(error: unknown, code: InstallError['code']): boolean {
  return error instanceof InstallError && error.code === code;
}
