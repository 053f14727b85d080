import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { addCounts, NO_COUNTS } from './counters.js';
import type { PoolReply, PoolRequest } from './pool-messages.js';
import type { FleetTally, SimulatedFleetOptions } from './simulated-fleet.js';

export interface FleetPoolOptions {
  identitiesFile: string;
  boards: number;
  /** Processes; each takes an equal part of the boards. */
  processes: number;
  fleet: Omit<SimulatedFleetOptions, 'identities' | 'onProblem'>;
}

/** How the boards of all processes stand together. */
export interface PoolTally extends FleetTally {
  /** What boards complained of since the last look (a few), and how often since the start. */
  problems: string[];
  problemCount: number;
}

const WORKER = fileURLToPath(new URL('./pool-worker.js', import.meta.url));

/** Simulated boards in several processes: one core carries some thousands. */
export class FleetPool {
  readonly #children: ChildProcess[];

  private constructor(children: ChildProcess[]) {
    this.#children = children;
  }

  /** Resolves when every board that is not offline for good tries to connect. */
  static async start({ identitiesFile, boards, processes, fleet }: FleetPoolOptions): Promise<FleetPool> {
    const children = Array.from({ length: processes }, () =>
      fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    const pool = new FleetPool(children);
    try {
      const share = Math.ceil(boards / processes);
      await Promise.all(
        children.map((child, index) => {
          const [from, to] = [index * share, Math.min(boards, (index + 1) * share)];
          const options = {
            ...fleet,
            ...(fleet.startsPerSecond && { startsPerSecond: fleet.startsPerSecond / processes }),
          };
          return ask(child, { kind: 'start', identitiesFile, from, to, options }, 'started');
        }),
      );
      return pool;
    } catch (error) {
      pool.kill();
      throw error;
    }
  }

  get pids(): number[] {
    return this.#children.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  async tally(): Promise<PoolTally> {
    const parts = await Promise.all(this.#children.map((child) => ask(child, { kind: 'tally' }, 'tally')));
    const tallies = parts.map(({ tally }) => tally);
    const sum = (read: (tally: FleetTally) => number) => tallies.reduce((total, tally) => total + read(tally), 0);
    return {
      counters: tallies.reduce((total, { counters }) => addCounts(total, counters), { ...NO_COUNTS }),
      boards: sum(({ boards }) => boards),
      connected: sum(({ connected }) => connected),
      receivedBytes: sum(({ receivedBytes }) => receivedBytes),
      unacknowledged: sum(({ unacknowledged }) => unacknowledged),
      phases: addNames(tallies.map(({ phases }) => phases)),
      running: addNames(tallies.map(({ running }) => running)),
      signaturesPerBoard: widest(tallies.map(({ signaturesPerBoard }) => signaturesPerBoard)),
      hashesPerBoard: widest(tallies.map(({ hashesPerBoard }) => hashesPerBoard)),
      problems: parts.flatMap(({ problems }) => problems),
      problemCount: parts.reduce((total, { problemCount }) => total + problemCount, 0),
    };
  }

  /** Switches the boards off and ends the processes. */
  async stop(): Promise<void> {
    const ended = this.#children.map((child) => (child.exitCode === null ? once(child, 'exit') : undefined));
    await Promise.all(this.#children.map((child) => ask(child, { kind: 'stop' }, 'stopped')));
    await Promise.all(ended);
  }

  /** The same at once. */
  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

/** Sends a request and waits for the answer of this kind. Throws when the process says that it failed, or ends. */
function ask<K extends PoolReply['kind']>(
  child: ChildProcess,
  request: PoolRequest,
  kind: K,
): Promise<Extract<PoolReply, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      child.off('message', listen);
      child.off('exit', died);
      settle();
    };
    const listen = (reply: PoolReply): void => {
      if (reply.kind === 'failed') end(() => reject(new Error(`simulated boards: ${reply.message}`)));
      else if (reply.kind === kind) end(() => resolve(reply as Extract<PoolReply, { kind: K }>));
    };
    const died = (code: number | null, signal: string | null): void => {
      end(() => reject(new Error(`a process of simulated boards ended (${signal ?? code})`)));
    };
    child.on('message', listen);
    child.once('exit', died);
    child.send(request);
  });
}

function addNames(counts: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of counts) for (const [name, count] of Object.entries(one)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

function widest(ranges: readonly { least: number; most: number }[]): { least: number; most: number } {
  return { least: Math.min(...ranges.map(({ least }) => least)), most: Math.max(...ranges.map(({ most }) => most)) };
}
