import type { BenchmarkResult, TrialPolicy } from '@vigie/protocol';
import { killHard } from '../chaos/processes.js';
import type { FleetDevice, FleetRelease } from '../clients/fleet-client.js';
import { percentile } from '../measure/percentiles.js';
import { benchmarkResult } from '../measure/platform.js';
import { readTreeUsage } from '../measure/process-tree.js';
import { type Board, enrollBoard, launchBoard } from '../rig/board.js';
import { runCommand } from '../rig/command.js';
import { type FleetServer, initialiseServer, startServer } from '../rig/fleet-server.js';
import { fixedPorts } from '../rig/free-port.js';
import { publishDirectory } from '../rig/publish.js';
import { AGENT_CLI, CLIP, inRepository, requireFiles, SERVER_CLI } from '../rig/repository.js';
import { Rig } from '../rig/rig.js';
import { pause, waitFor } from '../rig/wait.js';
import { affordableBoards } from './memory-share.js';

/** The smallest models that ship: 281 and 86 KB. */
const FIRST_PACKAGE = inRepository('models/zoo/person-classifier-fp32');
const SECOND_PACKAGE = inRepository('models/zoo/person-classifier-int8');
/** One frame a second: three are enough, and fifty boards on a few cores say nothing about the model's speed. */
const TRIAL: Partial<TrialPolicy> = {
  minFrames: 3,
  compareEvery: 1,
  maxLatencyRatio: 100,
  minDetectionRatio: 0,
  deadlineMs: 120_000,
};
/** Programs that are started at the same time: more would only wait for each other. */
const AT_ONCE = 4;

/** A broker of another make, in place of the server's own. */
export interface FleetBroker {
  /** Prepares it for the server in this initialised data folder and starts it; returns the server's further options. */
  begin(rig: Rig, serverDirectory: string): Promise<string[]>;
  /** SIGKILL, and a new process on what the old one left on the disk. */
  killAndRestart(): Promise<void>;
}

export interface RealFleetOptions {
  boards: number;
  /** What dies by SIGKILL in the middle of the update: the server with its broker, the external broker, or nothing. */
  kill: 'server' | 'broker' | null;
  broker?: FleetBroker;
  timeoutMs: number;
  onProgress(line: string): void;
}

export interface RealFleetOutcome {
  /** Boards that took part; fewer than asked for when the memory does not suffice, with the reason in `reduced`. */
  boards: number;
  reduced: string | null;
  /** Boards proven to run the second release: its digest is active, committed, and has detected on frames. */
  inSync: string[];
  /** The others, each with what it says. */
  behind: string[];
  /** Boards in sync, and boards in the middle of the update, when something was killed. */
  atKill: { inSync: number; busy: number } | null;
  result: BenchmarkResult;
}

/** Starts N real agents, brings them all to one release, then updates all at once to another. */
export async function runRealFleet(options: RealFleetOptions): Promise<RealFleetOutcome> {
  requireFiles([AGENT_CLI, SERVER_CLI, CLIP, FIRST_PACKAGE, SECOND_PACKAGE]);
  const { boards, reduced } = affordableBoards(options.boards);
  if (reduced !== null) options.onProgress(reduced);
  const rig = new Rig();
  try {
    return { boards, reduced, ...(await new RealFleet(rig, boards, options).run()) };
  } catch (error) {
    options.onProgress(rig.logTails(3));
    throw error;
  } finally {
    await rig.close();
  }
}

class RealFleet {
  readonly #boards = new Map<string, Board>();
  readonly #ids: string[];
  #server!: FleetServer;
  #adminToken = '';
  #ports: number[] = [];
  #serverOptions: string[] = [];

  constructor(
    private readonly rig: Rig,
    count: number,
    private readonly options: RealFleetOptions,
  ) {
    this.#ids = Array.from({ length: count }, (_, index) => `board-${index + 1}`);
  }

  async run(): Promise<Omit<RealFleetOutcome, 'boards' | 'reduced'>> {
    const { rig, options } = this;
    const total = this.#ids.length;
    this.#ports = await fixedPorts(2 + total);
    ({ adminToken: this.#adminToken } = await initialiseServer(rig.path('server')));
    if (options.broker !== undefined) this.#serverOptions = await options.broker.begin(rig, rig.path('server'));
    await this.startServer();
    const first = await publishDirectory(this.#server.client, FIRST_PACKAGE);
    const second = await publishDirectory(this.#server.client, SECOND_PACKAGE);
    options.onProgress(`enrolling and starting ${total} boards`);
    await this.startBoards(await this.makeClip());
    const installedAt = performance.now();
    await this.#server.client.assignAll(this.#ids, first.name, first.version, { trial: TRIAL });
    const installed = await this.awaitAll(first, new Map(), installedAt);
    if (installed.behind.length > 0) throw new Error(`not every board took its first release: ${installed.behind[0]}`);
    const memory = this.memory();
    options.onProgress(
      `${total} boards run ${first.version} after ${seconds(performance.now() - installedAt)}; ` +
        `${Math.round(memory.boards / total / 2 ** 20)} MiB each, the server ${Math.round(memory.server / 2 ** 20)} MiB`,
    );
    const updatedAt = performance.now();
    const syncedMs = new Map<string, number>();
    await this.#server.client.assignAll(this.#ids, second.name, second.version, { trial: TRIAL });
    const atKill = options.kill === null ? null : await this.killInTheMiddle(second, syncedMs, updatedAt);
    const { inSync, behind } = await this.awaitAll(second, syncedMs, updatedAt);
    options.onProgress(
      `${inSync.length} of ${total} boards run ${second.version} after ${seconds(performance.now() - updatedAt)}`,
    );
    const times = [...syncedMs.values()];
    const peak = this.memory();
    const result = benchmarkResult(
      'fleet-real',
      { name: second.name, version: second.version, digest: second.digest },
      total,
      {
        boards: total,
        inSync: inSync.length,
        'updateMs.p50': percentile(times, 0.5),
        'updateMs.max': Math.max(...times),
        'memoryBytes.perBoard': memory.boards / total,
        'memoryBytes.server': Math.max(memory.server, peak.server),
        ...(atKill === null ? {} : { 'atKill.inSync': atKill.inSync, 'atKill.busy': atKill.busy }),
      },
    );
    return { inSync, behind, atKill, result };
  }

  private async startServer(): Promise<void> {
    const [http, mqtt] = this.#ports;
    this.#server = await startServer(
      this.rig,
      this.rig.path('server'),
      this.#adminToken,
      { http, mqtt },
      this.#serverOptions,
    );
  }

  private async startBoards(clip: string): Promise<void> {
    const waiting = [...this.#ids.entries()];
    const startNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [index, id] = next;
        const directory = this.rig.path(id);
        await enrollBoard(this.#server.httpsUrl, await this.#server.client.enrollmentToken(), directory, id);
        const board = launchBoard(this.rig, {
          ...{ name: id, directory, httpPort: this.#ports[2 + index] },
          source: { url: clip, pacing: 'realtime', loop: true },
        });
        this.#boards.set(id, board);
        await waitFor(`${id} to be connected`, async () => (await board.client.health())?.link.connected, {
          timeoutMs: 60_000,
          everyMs: 200,
          guard: () => board.process.assertRunning(),
        });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, startNext));
  }

  /** Waits until boards are in the middle of it, some of them perhaps done, then kills and starts again what was asked for. */
  private async killInTheMiddle(
    release: FleetRelease,
    syncedMs: Map<string, number>,
    sinceMs: number,
  ): Promise<{ inSync: number; busy: number }> {
    const state = await waitFor(
      'a third of the boards to be in the update',
      async () => {
        const devices = await this.look(release, syncedMs, sinceMs);
        const busy = devices.filter(({ reported }) => isBusy(reported?.phase)).length;
        return busy + syncedMs.size >= this.#ids.length / 3 && { inSync: syncedMs.size, busy };
      },
      { timeoutMs: this.options.timeoutMs, everyMs: 100 },
    );
    const { kill, broker, onProgress } = this.options;
    if (kill === 'broker') await broker?.killAndRestart();
    else {
      killHard(this.#server.process.pid);
      await waitFor('the server to be gone', () => !this.#server.process.running, { timeoutMs: 10_000, everyMs: 10 });
      await pause(1000);
      await this.startServer();
    }
    onProgress(`${kill} killed with ${state.busy} boards in the update and ${state.inSync} done`);
    return state;
  }

  /** Waits until all are in sync by proof, or the time is over. */
  private async awaitAll(
    release: FleetRelease,
    syncedMs: Map<string, number>,
    sinceMs: number,
  ): Promise<{ inSync: string[]; behind: string[] }> {
    let devices: FleetDevice[] = [];
    const allThere = async (): Promise<boolean> => {
      devices = await this.look(release, syncedMs, sinceMs);
      return syncedMs.size === this.#ids.length;
    };
    const left = this.options.timeoutMs - (performance.now() - sinceMs);
    await waitFor('all boards to be in sync', allThere, { timeoutMs: left, everyMs: 250 }).catch(() => {});
    const behind = devices
      .filter(({ id }) => !syncedMs.has(id))
      .map(({ id, reported }) => {
        const error = reported?.error == null ? '' : ` (${reported.error.code}: ${reported.error.message})`;
        return `${id}: ${reported?.phase ?? 'never heard of'}${error}`;
      });
    return { inSync: [...syncedMs.keys()], behind };
  }

  private async look(release: FleetRelease, syncedMs: Map<string, number>, sinceMs: number): Promise<FleetDevice[]> {
    for (const [id, board] of this.#boards) {
      if (!board.process.running) throw new Error(`${id} ended: ${board.process.logTail(5).join(' | ')}`);
    }
    const devices = await this.#server.client.devices();
    for (const { id, reported, desired } of devices) {
      const { active, phase, generation } = reported ?? {};
      const proven = active?.release.digest === release.digest && active.framesRun > 0 && phase === 'COMMITTED';
      if (proven && generation === desired?.generation && !syncedMs.has(id))
        syncedMs.set(id, performance.now() - sinceMs);
    }
    return devices;
  }

  private memory(): { boards: number; server: number } {
    const boards = [...this.#boards.values()].map(({ process }) => readTreeUsage(process.pid).residentBytes);
    return {
      boards: boards.reduce((sum, bytes) => sum + bytes, 0),
      server: readTreeUsage(this.#server.process.pid).residentBytes,
    };
  }

  /** The bundled clip, small and at one frame a second. */
  private async makeClip(): Promise<string> {
    const path = this.rig.path('clip.mp4');
    const filter = 'fps=1,scale=192:108';
    await runCommand('ffmpeg', 'ffmpeg', ['-v', 'error', '-i', CLIP, '-vf', filter, '-c:v', 'libx264', path]);
    return path;
  }
}

function isBusy(phase: string | undefined): boolean {
  return phase !== undefined && !['IDLE', 'COMMITTED', 'FAILED', 'ROLLED_BACK', 'INCONCLUSIVE'].includes(phase);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
