import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { BenchmarkResult } from '@vigie/protocol';
import { killHard } from '../chaos/processes.js';
import type { FleetDevice } from '../clients/fleet-client.js';
import { benchmarkResult } from '../measure/platform.js';
import { type FleetServer, initialiseServer, startServer } from '../rig/fleet-server.js';
import { fixedPorts } from '../rig/free-port.js';
import { type PublishedRelease, publishDirectory } from '../rig/publish.js';
import { inRepository, requireFiles, SERVER_CLI } from '../rig/repository.js';
import { Rig } from '../rig/rig.js';
import { pause, waitFor } from '../rig/wait.js';
import { freshnessMetrics, type Interval, intervalMetrics, seconds } from './fleet-figures.js';
import { FreshnessProbe, loopbackBytes, QueryProbe, UsageProbe } from './fleet-probes.js';
import { pinned } from './pinning.js';
import { boardIds, enrollBoards } from './sim/enroll-boards.js';
import { FleetPool, type PoolTally } from './sim/fleet-pool.js';
import { readIdentities, writeIdentities } from './sim/identities-file.js';

const FIRST_PACKAGE = inRepository('models/zoo/person-detector-fp32');
const SECOND_PACKAGE = inRepository('models/zoo/person-detector-int8');
/** Boards whose telemetry is looked for. */
const WATCHED = 20;
/** Devices in one assignment at the most. */
const ASSIGNED_AT_ONCE = 5000;

export interface FleetBenchmarkOptions {
  devices: number;
  /** Length of the steady state, s. */
  steadySeconds: number;
  /** Seconds between two telemetry messages of a board. */
  telemetrySeconds: number;
  /** Processes of simulated boards. */
  processes: number;
  /** Cores that the server may use; 0: all. */
  serverCores: number;
  /** SIGKILL the server, its broker with it, and measure how the fleet comes back. */
  kill: boolean;
  /** A folder that keeps the enrolled fleet for the next run; absent: a temporary one. */
  directory?: string;
  /** Folder for a CPU profile of the server. */
  profile?: string;
  /** Longest time for one phase, ms. */
  timeoutMs: number;
  onProgress(line: string): void;
}

export interface FleetBenchmarkOutcome {
  result: BenchmarkResult;
  /** What went wrong, in words; empty when nothing did. */
  errors: string[];
}

/** Simulated boards against one embedded server: connect storm, steady state, a rollout to all, death and return of the server. */
export async function runFleetBenchmark(options: FleetBenchmarkOptions): Promise<FleetBenchmarkOutcome> {
  requireFiles([SERVER_CLI, FIRST_PACKAGE, SECOND_PACKAGE]);
  const rig = new Rig(options.directory);
  try {
    return await new FleetBenchmark(rig, options).run();
  } catch (error) {
    options.onProgress(rig.logTails(5));
    throw error;
  } finally {
    await rig.close();
  }
}

/** What a fleet that is kept remembers beside the server's folder and the identities. */
interface FleetState {
  adminToken: string;
  ports: number[];
  /** Package digest of what every board was given last. */
  lastDigest: string | null;
}

class FleetBenchmark {
  readonly #metrics: Record<string, number> = {};
  readonly #errors: string[] = [];
  readonly #ids: string[];
  readonly #identitiesFile: string;
  #server!: FleetServer;
  #state: FleetState = { adminToken: '', ports: [], lastDigest: null };
  #pool: FleetPool | null = null;
  #tally: PoolTally | null = null;

  constructor(
    private readonly rig: Rig,
    private readonly options: FleetBenchmarkOptions,
  ) {
    this.#ids = boardIds(options.devices);
    this.#identitiesFile = rig.path('identities.json');
  }

  async run(): Promise<FleetBenchmarkOutcome> {
    const { onProgress, devices, kill } = this.options;
    await this.#prepare();
    const both = [
      await publishDirectory(this.#server.client, FIRST_PACKAGE),
      await publishDirectory(this.#server.client, SECOND_PACKAGE),
    ];
    // A fleet that was taken up again runs what the run before gave it.
    const [first, second] = this.#state.lastDigest === both[1].digest ? both.toReversed() : both;
    await this.#enroll();
    try {
      await this.#connectStorm(first);
      await this.#steadyState();
      await this.#rollOut(second);
      if (kill) await this.#killAndReturn();
      await this.#conclude(second);
    } finally {
      await this.#pool?.stop();
    }
    const { name, version, digest } = second;
    const result = benchmarkResult('fleet', { name, version, digest }, devices, this.#metrics);
    for (const line of this.#errors) onProgress(`error: ${line}`);
    return { result, errors: this.#errors };
  }

  /** A fleet that an earlier run left in the folder is taken up again. */
  async #prepare(): Promise<void> {
    const file = this.rig.path('fleet.json');
    if (existsSync(file)) this.#state = JSON.parse(readFileSync(file, 'utf8')) as FleetState;
    else {
      const { adminToken } = await initialiseServer(this.rig.path('server'));
      this.#remember({ adminToken, ports: await fixedPorts(2), lastDigest: null });
    }
    await this.#startServer();
  }

  #remember(state: FleetState): void {
    this.#state = state;
    writeFileSync(this.rig.path('fleet.json'), JSON.stringify(state), { mode: 0o600 });
  }

  async #startServer(): Promise<void> {
    const { serverCores, profile, timeoutMs } = this.options;
    const { adminToken, ports: numbers } = this.#state;
    const [http, mqtt] = numbers;
    const ports = { http, mqtt };
    const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const launch = { prefix: pinned(serverCores), node, readyTimeoutMs: timeoutMs };
    this.#server = await startServer(this.rig, this.rig.path('server'), adminToken, ports, [], launch);
  }

  async #enroll(): Promise<void> {
    const { devices, onProgress } = this.options;
    const present = (await readIdentities(this.#identitiesFile)) ?? [];
    if (present.length >= devices) return;
    const { client, httpsUrl } = this.#server;
    const authority = readFileSync(this.rig.path('server', 'pki', 'authority.pem'), 'utf8');
    const beganAt = performance.now();
    const missing = this.#ids.slice(present.length);
    const added = await enrollBoards({
      ...{ httpsUrl, authority, deviceIds: missing },
      token: () => client.enrollmentToken(),
      hardwareClass: () => 'generic-x64',
      onProgress: (done, total) => {
        if (done % 500 === 0 || done === total) onProgress(`${done} of ${total} boards enrolled`);
      },
    });
    await writeIdentities(this.#identitiesFile, [...present, ...added]);
    const elapsedMs = performance.now() - beganAt;
    this.#metrics['enroll.perSecond'] = missing.length / (elapsedMs / 1000);
    onProgress(`${missing.length} boards enrolled in ${seconds(elapsedMs)}`);
  }

  async #connectStorm(first: PublishedRelease): Promise<void> {
    const { devices, processes, telemetrySeconds, onProgress } = this.options;
    const beganAt = performance.now();
    const interval = await this.#during('connect', async () => {
      this.#pool = await FleetPool.start({
        identitiesFile: this.#identitiesFile,
        boards: devices,
        processes,
        fleet: {
          timing: { telemetryMs: telemetrySeconds * 1000, metadataSpreadMs: Math.max(3000, devices * 4) },
          model: { release: referenceOf(first), precision: first.precision === 'int8' ? 'int8' : 'fp32' },
        },
      });
      await this.#allConnected(beganAt);
    });
    onProgress(`${devices} boards connected in ${seconds(interval.elapsedMs)}`);
  }

  async #steadyState(): Promise<void> {
    const { steadySeconds, telemetrySeconds, onProgress } = this.options;
    // What the storm left is worked off before.
    await pause(telemetrySeconds * 1000);
    const before = await this.#look();
    await this.#during('steady', () => pause(steadySeconds * 1000), true);
    const after = await this.#look();
    const sent = after.counters.telemetrySent - before.counters.telemetrySent;
    this.#metrics['steady.telemetryPerSecond'] = sent / steadySeconds;
    onProgress(
      `steady state: ${Math.round(sent / steadySeconds)} telemetry messages a second, queryable after ` +
        `p99 ${Math.round(this.#metrics['steady.telemetryToQueryableMs.p99'])} ms, ` +
        `server ${this.#metrics['steady.server.cores.mean'].toFixed(2)} cores`,
    );
  }

  async #rollOut(release: PublishedRelease): Promise<void> {
    const { devices, onProgress, timeoutMs } = this.options;
    this.#remember({ ...this.#state, lastDigest: release.digest });
    const interval = await this.#during(
      'rollout',
      async () => {
        for (let at = 0; at < devices; at += ASSIGNED_AT_ONCE) {
          const some = this.#ids.slice(at, at + ASSIGNED_AT_ONCE);
          await this.#server.client.assignAll(some, release.name, release.version);
        }
        await waitFor(
          'all boards to run the new release',
          async () => {
            const { running, unacknowledged } = await this.#look();
            return running[release.digest] === devices && unacknowledged === 0;
          },
          { timeoutMs, everyMs: 500, guard: () => this.#server.process.assertRunning() },
        );
      },
      true,
    );
    onProgress(`${devices} boards run ${release.version} after ${seconds(interval.elapsedMs)}`);
  }

  async #killAndReturn(): Promise<void> {
    const { devices, onProgress } = this.options;
    killHard(this.#server.process.pid);
    await waitFor('the server to be gone', () => !this.#server.process.running, { timeoutMs: 10_000, everyMs: 10 });
    const beganAt = performance.now();
    await this.#startServer();
    this.#metrics['return.startMs'] = performance.now() - beganAt;
    await this.#during('return', () => this.#allConnected(beganAt));
    onProgress(
      `the server was killed; ${devices} boards connected again after ${seconds(performance.now() - beganAt)}`,
    );
  }

  /** The server's own word on every device, and what the boards count. */
  async #conclude(release: PublishedRelease): Promise<void> {
    const { devices, timeoutMs } = this.options;
    await waitFor(
      'the server to know that every board runs the new release',
      async () => (await this.#server.client.devices()).filter((device) => proven(device, release)).length === devices,
      { timeoutMs, everyMs: 2000 },
    ).catch((error: Error) => this.#errors.push(error.message));
    const { counters, signaturesPerBoard, hashesPerBoard, problems, problemCount } = await this.#look();
    for (const [name, count] of Object.entries(counters)) this.#metrics[`boards.${name}`] = count;
    this.#metrics['boards.signaturesEach.least'] = signaturesPerBoard.least;
    this.#metrics['boards.hashesEach.least'] = hashesPerBoard.least;
    this.#metrics['boards.complaints'] = problemCount;
    for (const problem of problems) this.options.onProgress(`a board said: ${problem}`);
    const wrong = counters.failed + counters.rolledBack + counters.inconclusive + counters.desiredRefused;
    if (wrong > 0) this.#errors.push(`${wrong} installs or desired states failed`);
    if (counters.committed < devices) this.#errors.push(`${counters.committed} of ${devices} boards committed`);
    this.#metrics.errors = this.#errors.length;
  }

  async #allConnected(beganAt: number): Promise<void> {
    const { devices, timeoutMs } = this.options;
    const { client } = this.#server;
    await waitFor(
      'all boards to be connected',
      async () => (await client.health<{ connections: number }>()).connections >= devices,
      {
        timeoutMs: timeoutMs - (performance.now() - beganAt),
        everyMs: 250,
        guard: () => this.#server.process.assertRunning(),
      },
    );
  }

  async #look(): Promise<PoolTally> {
    if (this.#pool === null) throw new Error('no boards were started');
    this.#tally = await this.#pool.tally();
    return this.#tally;
  }

  /** Measures from outside while something goes on; `asking`: answers of the API too. */
  async #during(name: string, work: () => Promise<unknown>, asking = false): Promise<Interval> {
    const usage = new UsageProbe(() => this.#server.process.pid).start(1000);
    const { client } = this.#server;
    const ask = (path: string) => client.get(path);
    const every = Math.max(1, Math.floor(this.#ids.length / WATCHED));
    const watched = this.#ids.filter((_, index) => index % every === 0).slice(0, WATCHED);
    const fresh = asking ? new FreshnessProbe(ask, watched).start(25) : null;
    const queries = asking ? new QueryProbe(ask, this.#questions()).start(20) : null;
    const bytes = loopbackBytes();
    const beganAt = performance.now();
    try {
      await work();
    } finally {
      await Promise.all([usage.stop(), fresh?.stop(), queries?.stop()]);
    }
    const interval = { elapsedMs: performance.now() - beganAt, bytes: loopbackBytes() - bytes };
    Object.assign(this.#metrics, intervalMetrics(name, interval), usage.metrics(`${name}.server`));
    if (queries !== null) Object.assign(this.#metrics, queries.metrics(`${name}.queryMs`));
    if (fresh !== null) Object.assign(this.#metrics, freshnessMetrics(name, fresh.samples));
    for (const probe of [usage, fresh, queries]) {
      if (probe !== null && probe.errors > 0) this.#errors.push(`${name}: ${probe.errors} × ${probe.lastError}`);
    }
    return interval;
  }

  #questions(): Record<string, () => string> {
    const some = () => this.#ids[Math.floor(Math.random() * this.#ids.length)];
    return {
      devices: () => '/devices?limit=100',
      device: () => `/devices/${some()}`,
      releases: () => '/releases',
      events: () => `/events?device=${some()}&limit=50`,
    };
  }
}

function referenceOf({ name, version, digest }: PublishedRelease): { name: string; version: string; digest: string } {
  return { name, version, digest };
}

function proven({ reported }: FleetDevice, { digest }: PublishedRelease): boolean {
  return reported?.phase === 'COMMITTED' && reported.active?.release.digest === digest && reported.active.framesRun > 0;
}

/** How many processes of boards the machine carries beside the server. */
export function defaultProcesses(devices: number): number {
  return Math.max(1, Math.min(Math.max(1, cpus().length - 2), Math.ceil(devices / 500)));
}
