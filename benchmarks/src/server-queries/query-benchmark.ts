import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchmarkResult } from '@vigie/protocol';
import { pinned } from '../fleet/pinning.js';
import { percentile } from '../measure/percentiles.js';
import { benchmarkResult } from '../measure/platform.js';
import { readTreeUsage } from '../measure/process-tree.js';
import { type FleetServer, initialiseServer, startServer } from '../rig/fleet-server.js';
import { fixedPorts } from '../rig/free-port.js';
import { type PublishedRelease, publishDirectory } from '../rig/publish.js';
import { inRepository, requireFiles, SERVER_CLI } from '../rig/repository.js';
import { Rig } from '../rig/rig.js';
import { pause, waitFor } from '../rig/wait.js';
import { LineBoards } from './line-boards.js';
import { LineBroker } from './line-broker.js';
import { questionsOf } from './questions.js';
import { seedDatabase } from './seed.js';
import type { SeedSize } from './seed-statements.js';
import { dutyTimes, logLength, slowStatements } from './server-figures.js';

const FIRST_PACKAGE = inRepository('models/zoo/person-detector-fp32');
const SECOND_PACKAGE = inRepository('models/zoo/person-detector-int8');
const TELEMETRY_SECONDS = 10;
/** Between two lines of progress within a phase, ms. */
const TELL_EVERY_MS = 10_000;
/** Statements that are named in the progress of a phase. */
const NAMED = 12;

export interface QueryBenchmarkOptions extends SeedSize {
  /** How often each question is asked in a phase. */
  rounds: number;
  /** A phase lasts at least so long, so that the duties have their turn, s. */
  phaseSeconds: number;
  /** Cores that the server may use, by taskset; 0: all. */
  serverCores: number;
  /** Statements that take longer are counted, ms. */
  slowMs: number;
  /** Also a rollout to all boards at once. */
  rollout: boolean;
  /** Keeps the seeded folder for the next run; absent: made anew. */
  directory?: string;
  profile?: string;
  timeoutMs: number;
  onProgress(line: string): void;
}

/** What one server and its embedded database answer, and what its duties cost, with a whole fleet in the tables. */
export async function runQueryBenchmark(options: QueryBenchmarkOptions): Promise<BenchmarkResult> {
  requireFiles([SERVER_CLI, FIRST_PACKAGE, SECOND_PACKAGE]);
  const rig = new Rig();
  const broker = await LineBroker.listen();
  try {
    return await new QueryBenchmark(rig, broker, options).run();
  } catch (error) {
    options.onProgress(rig.logTails(10));
    throw error;
  } finally {
    await rig.close();
    await broker.close();
  }
}

interface Seeded {
  adminToken: string;
  releases: PublishedRelease[];
}

class QueryBenchmark {
  readonly #metrics: Record<string, number> = {};
  #server!: FleetServer;
  #boards!: LineBoards;
  #rollout = 0;

  constructor(
    private readonly rig: Rig,
    private readonly broker: LineBroker,
    private readonly options: QueryBenchmarkOptions,
  ) {}

  async run(): Promise<BenchmarkResult> {
    const { devices } = this.options;
    const { adminToken, releases } = await this.#seeded();
    const [first, second] = releases;
    this.#server = await this.#start(this.rig.path('server'), adminToken);
    this.#boards = new LineBoards(this.broker, first, devices);
    try {
      await this.#bear();
      await this.#startCanary(second);
      const questions = questionsOf(devices, `${first.name}@${first.version}`, () => this.#rollout);
      await this.#phase('idle', questions);
      this.#boards.startTelemetry(TELEMETRY_SECONDS);
      await this.#phase('telemetry', questions);
      if (this.options.rollout) await this.#rollOut(second, questions);
    } finally {
      this.#boards.stop();
    }
    const { name, version, digest } = first;
    return benchmarkResult('server-queries', { name, version, digest }, devices, this.#metrics);
  }

  /** A copy of a folder that holds the fleet, made where there is none. */
  async #seeded(): Promise<Seeded> {
    const { directory = this.rig.path('seed'), onProgress } = this.options;
    const folder = join(directory, 'server');
    const note = join(directory, 'seeded.json');
    if (!existsSync(note)) {
      mkdirSync(directory, { recursive: true });
      const { adminToken } = await initialiseServer(folder);
      const server = await this.#start(folder, adminToken);
      const releases = [
        await publishDirectory(server.client, FIRST_PACKAGE),
        await publishDirectory(server.client, SECOND_PACKAGE),
      ];
      await server.process.stop();
      await seedDatabase(join(folder, 'database'), releases[0], this.options, onProgress);
      writeFileSync(note, JSON.stringify({ adminToken, releases }), { mode: 0o600 });
    }
    cpSync(folder, this.rig.path('server'), { recursive: true });
    return JSON.parse(readFileSync(note, 'utf8')) as Seeded;
  }

  async #start(directory: string, adminToken: string): Promise<FleetServer> {
    const { serverCores, slowMs, profile, timeoutMs } = this.options;
    const config = this.rig.path('server.yaml');
    writeFileSync(
      config,
      `access: {requestsPerSecond: 10000, requestBurst: 10000}
database: {slowStatementMs: ${slowMs}}
mqtt: {broker: {url: "mqtt://127.0.0.1:${this.broker.port}"}}
mqtts: {publicUrl: "mqtts://localhost:8883"}\n`,
    );
    const [http, mqtt] = await fixedPorts(2);
    const node = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const launch = { prefix: pinned(serverCores), node, readyTimeoutMs: timeoutMs };
    return startServer(this.rig, directory, adminToken, { http, mqtt }, ['--config', config], launch);
  }

  async #bear(): Promise<void> {
    const { devices, timeoutMs, onProgress } = this.options;
    await waitFor(
      'the server to listen to its boards',
      () => ['presence', 'reported', 'telemetry'].every((kind) => this.broker.hears(kind)),
      { timeoutMs },
    );
    const began = performance.now();
    await this.#until('the server to be connected', async () => {
      const { broker } = await this.#server.client.health<{ broker: string }>();
      return broker === 'connected';
    });
    this.#boards.bear();
    this.broker.onSubscribe = (kinds) => {
      if (kinds.has('presence')) this.#boards.bear();
    };
    await this.#until('all boards to be online', async () => {
      const { online } = await this.#server.client.get<{ online: number }>('/devices/counts');
      return online === devices;
    });
    this.#metrics['births.elapsedMs'] = performance.now() - began;
    onProgress(`${devices} boards online after ${this.#metrics['births.elapsedMs'].toFixed(0)} ms`);
    // The activity log says so after a while.
    await pause(5000);
  }

  /** A rollout over all boards that has told few of them and watches those. */
  async #startCanary({ name, version }: PublishedRelease): Promise<void> {
    const canary = Math.max(1, Math.floor(this.options.devices / 100));
    const waves = [
      { name: 'canary', size: { count: canary }, soakSeconds: 86_400 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0 },
    ];
    const spec = { release: { name, version }, selector: {}, waves, concurrency: this.options.devices, follow: false };
    const { id } = await this.#server.client.post<{ id: number }>('/rollouts?start=true', spec);
    this.#rollout = id;
    await this.#until('the canary to soak', async () => (await this.#rolloutView(id)).phase === 'soaking');
  }

  /** All boards at once: what limits it is the server. */
  async #rollOut({ name, version }: PublishedRelease, questions: Record<string, () => string>): Promise<void> {
    const { devices, onProgress } = this.options;
    const { client } = this.#server;
    await client.post(`/rollouts/${this.#rollout}/abort`, {});
    this.#boards.toldAt.length = 0;
    const waves = [{ name: 'all', size: { share: 1 }, soakSeconds: 0 }];
    const spec = { release: { name, version }, selector: {}, waves, concurrency: devices, follow: false };
    let over = false;
    const began = performance.now();
    const { id } = await client.post<{ id: number }>('/rollouts?start=true', spec);
    this.#rollout = id;
    const asking = this.#phase('rollout', questions, () => over);
    // Whichever fails first is told; the other ends with the server.
    asking.catch(() => undefined);
    await this.#until('the rollout to succeed', async () => {
      const { state, reason } = await this.#rolloutView(id);
      if (state !== 'running' && state !== 'succeeded') throw new Error(`it is ${state}: ${JSON.stringify(reason)}`);
      return state === 'succeeded';
    });
    const elapsed = performance.now() - began;
    over = true;
    await asking;
    const { toldAt } = this.#boards;
    const toldMs = Math.max(...toldAt) - began;
    Object.assign(this.#metrics, {
      'rollout.told': toldAt.length,
      'rollout.toldMs': toldMs,
      'rollout.toldPerSecond': toldAt.length / (toldMs / 1000),
      'rollout.elapsedMs': elapsed,
    });
    onProgress(
      `rollout: ${toldAt.length} told in ${(toldMs / 1000).toFixed(1)} s, all done in ${(elapsed / 1000).toFixed(1)} s`,
    );
  }

  async #phase(name: string, questions: Record<string, () => string>, over?: () => boolean): Promise<void> {
    const { rounds, phaseSeconds, onProgress } = this.options;
    const { client, process: server } = this.#server;
    const from = logLength(server.logPath);
    const duties = await this.#duties();
    const began = performance.now();
    const usage = readTreeUsage(server.pid).cpuSeconds;
    const sent = this.#boards.telemetrySent;
    const samples = new Map<string, number[]>(Object.keys(questions).map((key) => [key, []]));
    const goesOn = (round: number) =>
      over === undefined ? round < rounds || performance.now() - began < phaseSeconds * 1000 : !over();
    let toldAt = began;
    for (let round = 0; goesOn(round); round += 1) {
      if (performance.now() - toldAt > TELL_EVERY_MS) {
        toldAt = performance.now();
        const seconds = ((performance.now() - began) / 1000).toFixed(0);
        onProgress(`${name}: every question was asked ${round} times in ${seconds} s`);
      }
      for (const [key, path] of Object.entries(questions)) {
        const asked = performance.now();
        await client.get(path());
        samples.get(key)?.push(performance.now() - asked);
        await pause(2);
        if (over?.() === true) break;
      }
    }
    const elapsed = (performance.now() - began) / 1000;
    for (const [key, times] of samples) {
      this.#metrics[`${name}.${key}.p50`] = percentile(times, 0.5);
      this.#metrics[`${name}.${key}.p95`] = percentile(times, 0.95);
      this.#metrics[`${name}.${key}.max`] = Math.max(...times);
    }
    const all = [...samples.values()].flat();
    this.#metrics[`${name}.all.p95`] = percentile(all, 0.95);
    for (const [duty, { runs, seconds }] of await this.#duties()) {
      const before = duties.get(duty) ?? { runs: 0, seconds: 0 };
      if (runs > before.runs)
        this.#metrics[`${name}.duty.${duty}.meanMs`] = ((seconds - before.seconds) / (runs - before.runs)) * 1000;
    }
    const slow = slowStatements(server.logPath, from);
    const { cpuSeconds, residentBytes } = readTreeUsage(server.pid);
    const backlog = this.broker.backlog;
    Object.assign(this.#metrics, {
      [`${name}.seconds`]: elapsed,
      [`${name}.questions`]: all.length,
      [`${name}.server.cores.mean`]: (cpuSeconds - usage) / elapsed,
      [`${name}.server.memoryBytes`]: residentBytes,
      [`${name}.telemetryPerSecond`]: (this.#boards.telemetrySent - sent) / elapsed,
      [`${name}.backlogBytes`]: backlog.bytes,
      [`${name}.statement.slow`]: slow.reduce((sum, { count }) => sum + count, 0),
      [`${name}.statement.maxMs`]: Math.max(0, ...slow.map(({ maxMs }) => maxMs)),
    });
    onProgress(
      `${name}: ${all.length} questions in ${elapsed.toFixed(0)} s, p95 ${this.#metrics[`${name}.all.p95`].toFixed(0)} ms, ` +
        `${this.#metrics[`${name}.server.cores.mean`].toFixed(2)} cores, ${Math.round(residentBytes / 1048576)} MiB`,
    );
    for (const { statement, count, totalMs, maxMs } of slow.slice(0, NAMED))
      onProgress(`  ${count} × at most ${maxMs} ms, ${totalMs} ms in all: ${statement}`);
  }

  async #duties() {
    const response = await fetch(`${this.#server.httpUrl}/metrics`);
    return dutyTimes(await response.text());
  }

  #rolloutView(id: number): Promise<{ state: string; phase: string; reason: object | null }> {
    return this.#server.client.get(`/rollouts/${id}`);
  }

  #until(what: string, probe: () => Promise<boolean>): Promise<boolean> {
    const guard = () => this.#server.process.assertRunning();
    return waitFor(what, probe, { timeoutMs: this.options.timeoutMs, everyMs: 200, guard });
  }
}
