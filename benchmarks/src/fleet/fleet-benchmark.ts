import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { killHard } from '../chaos/processes.js';
import { benchmarkResult } from '../measure/platform.js';
import { type FleetServer, initialiseServer, startServer } from '../rig/fleet-server.js';
import { fixedPorts } from '../rig/free-port.js';
import { type PublishedRelease, publishDirectory } from '../rig/publish.js';
import { inRepository, MissingPieceError, requireFiles, SERVER_CLI } from '../rig/repository.js';
import { Rig } from '../rig/rig.js';
import { pause, waitFor } from '../rig/wait.js';
import { freshnessMetrics, type Interval, intervalMetrics, seconds } from './fleet-figures.js';
import type { FleetBenchmarkOptions, FleetBenchmarkOutcome, FleetState } from './fleet-options.js';
import { FreshnessProbe, loopbackBytes, QueryProbe, UsageProbe } from './fleet-probes.js';
import { questions, type RolloutView, referenceOf, wantedRollout } from './fleet-scenario.js';
import { pinned } from './pinning.js';
import { boardIds, enrollBoards } from './sim/enroll-boards.js';
import { FleetPool, type PoolTally } from './sim/fleet-pool.js';
import { readIdentities, writeIdentities } from './sim/identities-file.js';

const FIRST_PACKAGE = inRepository('models/zoo/person-detector-fp32');
const SECOND_PACKAGE = inRepository('models/zoo/person-detector-int8');
/** Boards whose telemetry is looked for. */
const WATCHED = 20;
/** Between two rounds of them, ms. */
const FRESHNESS_EVERY_MS = 200;
/** Boards that one enrolment token lets in at the most. */
const ENROLLED_BY_ONE = 10_000;
/** The probes ask more often than people do, all from one address and with one token. */
const SERVER_CONFIG =
  'access: {requestsPerSecond: 10000, requestBurst: 10000, anonymousPerSecond: 10000, anonymousBurst: 10000}\n';

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

class FleetBenchmark {
  readonly #metrics: Record<string, number> = {};
  readonly #errors: string[] = [];
  readonly #ids: string[];
  readonly #identitiesFile: string;
  #server!: FleetServer;
  #state: FleetState = { adminToken: '', ports: [], lastDigest: null };
  #pool: FleetPool | null = null;
  #rollout: number | null = null;

  constructor(
    private readonly rig: Rig,
    private readonly options: FleetBenchmarkOptions,
  ) {
    this.#ids = boardIds(options.devices);
    this.#identitiesFile = rig.path('identities.json');
  }

  async run(): Promise<FleetBenchmarkOutcome> {
    const { onProgress, devices, rollout, kill } = this.options;
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
      if (rollout) await this.#rollOut(second);
      if (kill) await this.#killAndReturn();
      await this.#conclude(rollout ? second : null);
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
    await this.#refuseLeftovers();
  }

  /** After a rollout that was cut off nobody knows what each board would have run: it would load another release at once. */
  async #refuseLeftovers(): Promise<void> {
    for (const state of ['ready', 'running', 'paused']) {
      const { items } = await this.#server.client.get<{ items: object[] }>(`/rollouts?state=${state}`);
      if (items.length > 0)
        throw new MissingPieceError(
          `${this.rig.directory} was left in the middle of a rollout; give --keep another folder`,
        );
    }
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
    const config = this.rig.path('server.yaml');
    writeFileSync(config, SERVER_CONFIG);
    const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const launch = { prefix: pinned(serverCores), node, readyTimeoutMs: timeoutMs };
    this.#server = await startServer(
      this.rig,
      this.rig.path('server'),
      adminToken,
      ports,
      ['--config', config],
      launch,
    );
  }

  async #enroll(): Promise<void> {
    const { devices, onProgress } = this.options;
    const present = (await readIdentities(this.#identitiesFile)) ?? [];
    if (present.length > devices)
      throw new MissingPieceError(`the fleet in ${this.rig.directory} has ${present.length} boards; give --devices so`);
    if (present.length === devices) return;
    const { client, httpsUrl } = this.#server;
    const authority = readFileSync(this.rig.path('server', 'pki', 'authority.pem'), 'utf8');
    const beganAt = performance.now();
    const missing = this.#ids.slice(present.length);
    const tokens: string[] = [];
    for (let left = missing.length; left > 0; left -= ENROLLED_BY_ONE)
      tokens.push(await client.enrollmentToken(Math.min(left, ENROLLED_BY_ONE)));
    const place = new Map(missing.map((id, index) => [id, index]));
    const added = await enrollBoards({
      ...{ httpsUrl, authority, deviceIds: missing },
      token: async (id) => tokens[Math.floor((place.get(id) ?? 0) / ENROLLED_BY_ONE)],
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
    const { devices, processes, startsPerSecond, telemetrySeconds, onProgress } = this.options;
    const beganAt = performance.now();
    const interval = await this.#during('connect', async () => {
      this.#pool = await FleetPool.start({
        identitiesFile: this.#identitiesFile,
        boards: devices,
        processes,
        fleet: {
          ...(startsPerSecond > 0 && { startsPerSecond }),
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
    const { client } = this.#server;
    const interval = await this.#during(
      'rollout',
      async () => {
        const { id } = await client.post<{ id: number }>('/rollouts?start=true', wantedRollout(release, devices));
        this.#rollout = id;
        await waitFor(
          'the rollout to succeed',
          async () => {
            const { state, reason } = await client.get<RolloutView>(`/rollouts/${id}`);
            if (!['ready', 'running'].includes(state) && state !== 'succeeded')
              throw new Error(`the rollout is ${state}: ${JSON.stringify(reason)}`);
            return state === 'succeeded';
          },
          { timeoutMs, everyMs: 1000, guard: () => this.#server.process.assertRunning() },
        );
      },
      true,
    );
    this.#remember({ ...this.#state, lastDigest: release.digest });
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
  async #conclude(release: PublishedRelease | null): Promise<void> {
    const { devices, timeoutMs } = this.options;
    const wanted =
      release === null ? '' : `running=${encodeURIComponent(`${release.name}@${release.version}`)}&inSync=true&`;
    await waitFor(
      'the server to have the proof of every board, and every board its acknowledgements',
      async () => {
        const { total } = await this.#server.client.get<{ total: number }>(`/devices/counts?${wanted}online=true`);
        return total === devices && (await this.#look()).unacknowledged === 0;
      },
      { timeoutMs, everyMs: 1000 },
    ).catch((error: Error) => this.#errors.push(error.message));
    const { counters, signaturesPerBoard, hashesPerBoard, problems, problemCount } = await this.#look();
    for (const [name, count] of Object.entries(counters)) this.#metrics[`boards.${name}`] = count;
    this.#metrics['boards.signaturesEach.least'] = signaturesPerBoard.least;
    this.#metrics['boards.hashesEach.least'] = hashesPerBoard.least;
    this.#metrics['boards.complaints'] = problemCount;
    for (const problem of problems) this.options.onProgress(`a board said: ${problem}`);
    const wrong = counters.failed + counters.rolledBack + counters.inconclusive + counters.desiredRefused;
    if (wrong > 0) this.#errors.push(`${wrong} installs or desired states failed`);
    if (release !== null && counters.committed < devices)
      this.#errors.push(`${counters.committed} of ${devices} boards committed`);
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
    return this.#pool.tally();
  }

  /** Measures from outside while something goes on; `asking`: answers of the API too. */
  async #during(name: string, work: () => Promise<unknown>, asking = false): Promise<Interval> {
    const usage = new UsageProbe(() => this.#server.process.pid).start(1000);
    const { client } = this.#server;
    const ask = (path: string) => client.get(path);
    const every = Math.max(1, Math.floor(this.#ids.length / WATCHED));
    const watched = this.#ids.filter((_, index) => index % every === 0).slice(0, WATCHED);
    const periodMs = this.options.telemetrySeconds * 1000;
    const fresh = asking ? new FreshnessProbe(ask, watched, periodMs).start(FRESHNESS_EVERY_MS) : null;
    const queries = asking
      ? new QueryProbe(
          ask,
          questions(this.#ids, () => this.#rollout),
        ).start(20)
      : null;
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
}
