import { pause } from '@vigie/agent/io/delivery/delivery-meter';
import type { Clock, Link } from '@vigie/agent/ports';
import { FAULTS, RETRY_TIMES } from '@vigie/agent/update/faults';
import { fullJitterMs } from '@vigie/agent/update/full-jitter';
import { asInstallError, InstallError } from '@vigie/agent/update/install-error';
import type { ReleaseSource } from '@vigie/agent/update/ports';
import { checkDescriptor, checkRequirements } from '@vigie/agent/update/release-checks';
import type { UpdateError, UpdateStatus } from '@vigie/agent/update/status';
import {
  chunkLayout,
  type Desired,
  type InstallPhase,
  type Precision,
  type ReleaseDescriptor,
  type ReleaseReference,
  type SwapReport,
} from '@vigie/protocol';
import type { BoardFaults, SimulatedTiming } from './behaviour.js';
import { fetchChunks } from './chunk-fetch.js';
import type { BoardCounters } from './counters.js';
import type { SimulatedVision } from './simulated-vision.js';

export interface SimulatedInstallerOptions {
  hardwareClass: string;
  agentVersion: string;
  clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number;
  timing: SimulatedTiming;
  faults: BoardFaults;
  vision: SimulatedVision;
  counters: BoardCounters;
  /** At every change; `terminal` when an install has ended. */
  onChange(terminal: boolean): void;
}

/** What a connection gives to an install. */
export interface InstallLine {
  link: Link;
  releases: ReleaseSource;
}

interface Model {
  release: ReleaseReference;
  precision: Precision;
}

/**
 * Takes a release from its offer to its commit in the phases of a real board. What is believed is really checked: metadata,
 * certificate, descriptor, package digest and each chunk. What a model would do is made up.
 */
export class SimulatedInstaller {
  readonly #options: SimulatedInstallerOptions;
  #desired: Desired | null = null;
  #phase: 'IDLE' | InstallPhase = 'IDLE';
  #error: UpdateError | null = null;
  #candidate: ReleaseReference | null = null;
  #active: Model | null = null;
  #previous: Model | null = null;
  #swap: SwapReport | null = null;
  #progress: UpdateStatus['progress'] = null;
  #retry: UpdateStatus['retry'];
  #fetchedBytes: number | null = null;
  /** Digests that failed here by their own fault, and how. */
  readonly #failed = new Map<string, UpdateError>();
  #held = new Set<string>();
  #line: InstallLine | null = null;
  #abort = new AbortController();

  constructor(options: SimulatedInstallerOptions) {
    this.#options = options;
  }

  /** The connection of a start of the board; what a restart cut off begins anew. */
  start(line: InstallLine): void {
    this.#line = line;
    if (this.#desired !== null && (this.#busy || this.#retry !== undefined)) this.#begin(this.#desired, 1);
  }

  /** The board ends. */
  stop(): void {
    this.#abort.abort(new Error('the board ends'));
    this.#line = null;
    if (this.#candidate?.digest === this.#options.vision.running?.release.digest) this.#turnTo(this.#active);
  }

  /** The model that is there from the start. */
  preload(release: ReleaseReference, precision: Precision): void {
    this.#active = { release, precision };
    this.#turnTo(this.#active);
  }

  get generation(): number {
    return this.#desired?.generation ?? 0;
  }

  /** Ms since 1970; 0 before the first desired state. */
  get issuedAt(): number {
    return this.#desired === null ? 0 : Date.parse(this.#desired.issuedAt);
  }

  /** A desired state whose signature was checked. */
  accept(desired: Desired): void {
    this.#desired = desired;
    this.#begin(desired, 1);
  }

  get status(): UpdateStatus {
    return {
      generation: this.generation,
      phase: this.#phase,
      error: this.#error,
      active: this.#options.vision.running,
      previous: this.#previous?.release ?? null,
      candidate: this.#busy ? this.#candidate : null,
      swap: this.#swap,
      progress: this.#progress,
      ...(this.#retry === undefined ? {} : { retry: this.#retry }),
      ...(this.#fetchedBytes === null ? {} : { delivery: { transport: 'mqtt', fetchedBytes: this.#fetchedBytes } }),
    };
  }

  get #busy(): boolean {
    return !['IDLE', 'COMMITTED', 'SHADOWED', 'ROLLED_BACK', 'INCONCLUSIVE', 'FAILED'].includes(this.#phase);
  }

  #begin(desired: Desired, attempt: number): void {
    this.#abort.abort(new Error('superseded'));
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#error = null;
    this.#swap = null;
    this.#progress = null;
    this.#retry = undefined;
    this.#fetchedBytes = null;
    this.#candidate = desired.release;
    this.#turnTo(this.#active);
    const { release } = desired;
    if (release === null || release.digest === this.#active?.release.digest) {
      this.#enter(release === null ? 'IDLE' : 'COMMITTED', true);
      return;
    }
    const before = this.#failed.get(release.digest);
    if (before !== undefined && desired.retry !== true) {
      const message = `failed on this board with ${before.code}; assign it with retry to try again`;
      this.#end('FAILED', { code: 'PREVIOUSLY_FAILED', message }, desired, attempt);
      return;
    }
    this.#failed.delete(release.digest);
    this.#options.counters.installsStarted += 1;
    this.#install(desired, release, signal).catch((error: unknown) => {
      if (signal.aborted) return;
      const { code, message } = asInstallError(error);
      if (FAULTS[code].model) this.#failed.set(release.digest, { code, message });
      const live = this.#phase === 'TRIAL';
      const phase = live ? (code === 'TRIAL_HOT' ? 'INCONCLUSIVE' : 'ROLLED_BACK') : 'FAILED';
      this.#turnTo(this.#active);
      this.#end(phase, { code, message }, desired, attempt);
    });
  }

  async #install(desired: Desired, release: ReleaseReference, signal: AbortSignal): Promise<void> {
    const { clock, timing, hardwareClass, agentVersion, counters, random, vision } = this.#options;
    const line = this.#line;
    if (line === null) throw new InstallError('INTERNAL', 'no connection was ever made');
    const beganAt = clock.now();
    this.#enter('OFFERED');
    this.#enter('PREFLIGHT');
    const descriptor = await line.releases.describe(release, signal);
    // The role `certified` beside those of every update; the descriptor and the certificate.
    counters.signaturesVerified += 1;
    counters.hashesVerified += 2;
    checkDescriptor(descriptor, release);
    checkRequirements(descriptor.requires, { agentVersion, hardwareClass });
    await this.#spend(timing.preflightMs, signal);
    this.#enter('DOWNLOADING');
    await pause(clock, random() * (desired.delivery?.jitterSeconds ?? 0) * 1000, signal);
    await this.#download(descriptor, line, signal);
    this.#enter('VERIFYING');
    await this.#spend(timing.verifyMs, signal);
    this.#enter('STAGED');
    this.#enter('SELF_TEST');
    await this.#spend(timing.selfTestMs, signal);
    this.#failIn('SELF_TEST', release);
    if (desired.shadow !== undefined) {
      this.#enter('SHADOW');
      await this.#spend(Math.min(timing.trialMs, desired.shadow.seconds * 1000), signal);
      if (desired.shadow.outcome === 'report') {
        this.#enter('SHADOWED', true);
        return;
      }
    }
    const candidate = { release, precision: descriptor.precision };
    this.#turnTo(candidate);
    this.#swap = {
      framesMissed: 0,
      longestGapMs: Math.round(120 + 60 * random()),
      steadyGapP99Ms: Math.round(130 + 30 * random()),
      durationMs: Math.round(clock.now() - beganAt),
    };
    this.#enter('TRIAL');
    await this.#spend(timing.trialMs, signal);
    this.#failIn('TRIAL', release);
    // Proof of running: at least one live frame.
    while ((vision.running?.framesRun ?? 0) === 0) await pause(clock, 50, signal);
    this.#previous = this.#active;
    this.#active = candidate;
    counters.committed += 1;
    this.#enter('COMMITTED', true);
  }

  async #download(descriptor: ReleaseDescriptor, { link }: InstallLine, signal: AbortSignal): Promise<void> {
    const { clock, timing, counters } = this.#options;
    const chunks = new Map(
      descriptor.files.flatMap((file) => chunkLayout(file).map((place) => [place.sha256, place.length] as const)),
    );
    const missing = [...chunks].filter(([sha256]) => !this.#held.has(sha256));
    const progress = { bytes: 0, totalBytes: missing.reduce((sum, [, length]) => sum + length, 0) };
    this.#progress = progress;
    this.#fetchedBytes = 0;
    const wanted = missing.map(([sha256, length]) => ({ sha256, length }));
    await fetchChunks({ link, clock, messageMs: timing.messageMs, signal }, wanted, ({ sha256, length }) => {
      this.#held.add(sha256);
      counters.chunksFetched += 1;
      counters.chunkBytes += length;
      counters.hashesVerified += 1;
      progress.bytes += length;
      this.#fetchedBytes = (this.#fetchedBytes ?? 0) + length;
    });
    this.#progress = null;
  }

  #failIn(phase: 'SELF_TEST' | 'TRIAL', { digest, name, version }: ReleaseReference): void {
    const { faults } = this.#options;
    if (phase === 'TRIAL' && faults.hot) throw new InstallError('TRIAL_HOT', 'the board is at 86 °C');
    const code = faults.failing.get(digest);
    if (code === undefined || code.startsWith('TRIAL_') !== (phase === 'TRIAL')) return;
    throw new InstallError(code, `simulated failure of ${name} ${version}`);
  }

  #end(phase: InstallPhase, error: UpdateError, desired: Desired, attempt: number): void {
    const { counters, clock, random } = this.#options;
    this.#error = error;
    this.#progress = null;
    if (phase === 'ROLLED_BACK') counters.rolledBack += 1;
    else if (phase === 'INCONCLUSIVE') counters.inconclusive += 1;
    else counters.failed += 1;
    const fault = FAULTS[error.code];
    const bounds = fault.retry === 'never' || fault.retry === 'start' ? undefined : RETRY_TIMES[fault.retry];
    if (bounds !== undefined && attempt < (fault.attempts ?? Number.POSITIVE_INFINITY)) {
      const waitMs = fullJitterMs(attempt - 1, bounds, random());
      this.#retry = { attempt, at: new Date(clock.wall() + waitMs).toISOString() };
      pause(clock, waitMs, this.#abort.signal).then(
        () => this.#begin(desired, attempt + 1),
        () => {},
      );
    }
    this.#enter(phase, true);
  }

  #enter(phase: 'IDLE' | InstallPhase, terminal = false): void {
    this.#phase = phase;
    this.#options.onChange(terminal);
  }

  #turnTo(model: Model | null): void {
    const { vision } = this.#options;
    if (vision.running?.release.digest === model?.release.digest) return;
    vision.turn(model?.release ?? null, model?.precision ?? 'fp32');
  }

  /** What a step takes on this board. */
  #spend(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, random, faults } = this.#options;
    return pause(clock, ms * (0.8 + 0.4 * random()) * (faults.slow ? 10 : 1), signal);
  }
}
