import type { Clock, Detector, DetectorFactory, FrameResult } from '../ports.js';
import { Listeners } from './listeners.js';
import { type Companion, stallLimitMs, type Trial, TurnError } from './live-trial.js';
import { RespawnBackoff } from './respawn-backoff.js';

export interface LivePointerOptions {
  clock: Clock;
  factory: DetectorFactory;
  /** A detector was put in place: the next frame may go. */
  changed(): void;
}

/**
 * Which child detects, and what stands beside it: the warm model of a trial or the candidate of a shadow run. Turning the
 * pointer is an assignment; nobody waits for it. A live child that dies is replaced by the warm one, or started again.
 */
export class LivePointer {
  readonly #options: LivePointerOptions;
  readonly #backoff: RespawnBackoff;
  readonly crashes = new Listeners<[{ digest: string; reason: string }]>();
  #active: Detector | null = null;
  #directory: string | null = null;
  #trial: Trial | null = null;
  #shadow: Companion | null = null;
  #swapping = false;
  /** Grows with each load; one that was overtaken meanwhile is closed again. */
  #loads = 0;
  #restarts = 0;
  #startError: string | null = null;
  #cancelRespawn: (() => void) | null = null;
  #stopped = false;

  constructor(options: LivePointerOptions) {
    this.#options = options;
    this.#backoff = new RespawnBackoff(options.clock);
  }

  get active(): Detector | null {
    return this.#active;
  }
  /** Where the active model (or the one being started again) was loaded from. */
  get directory(): string | null {
    return this.#directory;
  }
  get trialRunning(): boolean {
    return this.#trial !== null;
  }
  /** The model that sees some of the live frames too. */
  get companion(): Companion | null {
    return this.#trial === null ? this.#shadow : this.#trial.warm;
  }
  /** One model was stopped for another that is being loaded. */
  get swapping(): boolean {
    return this.#swapping;
  }
  get restarts(): number {
    return this.#restarts;
  }
  /** Why the last attempt to load the active model failed; null once it runs. */
  get startError(): string | null {
    return this.#startError;
  }

  /** Patience for one frame of this detector, ms; null: its child's own. With a warm model at hand a hanging candidate blinds nobody. */
  patienceMs(detector: Detector): number | null {
    const trial = this.#trial;
    return trial !== null && detector === trial.candidate && trial.warm !== null ? trial.stallMs : null;
  }

  /** Starts the model in `directory` and keeps it alive from then on. Resolves whether or not the first attempt succeeded. */
  async start(directory: string): Promise<void> {
    this.#cancelRespawn?.();
    this.#directory = directory;
    await this.#spawn(directory);
  }

  beginShadow(candidate: Detector, everyFrames: number): void {
    this.#refuseBusy();
    const shadow: Companion = { detector: candidate, every: everyFrames, seen: 0 };
    this.#shadow = shadow;
    candidate.onCrash(() => {
      if (this.#shadow === shadow) this.#shadow = null;
    });
  }

  endShadow(): void {
    this.#shadow = null;
  }

  /** `previousMs`: what the present model took for its last frame. */
  async turnTo(next: Detector, directory: string, compareEvery: number, previousMs: number): Promise<FrameResult> {
    this.#refuseBusy();
    const warm = this.#active === null ? null : { detector: this.#active, every: compareEvery, seen: 0 };
    return this.#try(next, directory, warm, previousMs);
  }

  async stopThenTurn(load: () => Promise<Detector>, directory: string): Promise<FrameResult> {
    this.#refuseBusy();
    this.#cancelRespawn?.();
    this.#loads += 1;
    const previous = this.#active;
    this.#active = null;
    this.#swapping = true;
    let candidate: Detector;
    try {
      await previous?.close();
      candidate = await load();
    } catch (error) {
      await this.#reload(this.#directory);
      throw error;
    }
    this.#swapping = false;
    if (this.#stopped) {
      await candidate.close();
      throw new TurnError('STOPPED', 'the agent stops');
    }
    return this.#try(candidate, directory, null, 0);
  }

  async commit(): Promise<void> {
    await this.#endTrial().warm?.detector.close();
  }

  async turnBack(): Promise<void> {
    const trial = this.#endTrial();
    trial.first?.reject(new TurnError('TURNED_BACK', 'turned back before the first result'));
    this.#directory = trial.previousDirectory;
    if (trial.warm !== null) {
      this.#put(trial.warm.detector);
      await trial.candidate.close();
      return;
    }
    // What had no room beside the candidate has none before it is gone.
    this.#active = null;
    this.#swapping = true;
    await trial.candidate.close();
    await this.#reload(trial.previousDirectory);
  }

  /** A live result: the first one of a candidate makes it active. */
  saw(detector: Detector, result: FrameResult): void {
    const trial = this.#trial;
    if (trial === null || detector !== trial.candidate) return;
    trial.first?.resolve(result);
    trial.first = null;
  }

  /** Ends all children. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRespawn?.();
    const detectors = [this.#active, this.companion?.detector ?? null];
    this.#active = null;
    this.#shadow = null;
    await Promise.all(detectors.map((detector) => detector?.close()));
  }

  #refuseBusy(): void {
    if (this.#trial !== null || this.#swapping) throw new TurnError('TRIAL_RUNNING', 'a trial is running already');
    if (this.#shadow !== null) throw new TurnError('SHADOW_RUNNING', 'a shadow run is going on');
  }

  #try(candidate: Detector, directory: string, warm: Companion | null, previousMs: number): Promise<FrameResult> {
    this.#cancelRespawn?.();
    const first = new Promise<FrameResult>((resolve, reject) => {
      const previousDirectory = this.#directory;
      this.#trial = {
        candidate,
        warm,
        previousDirectory,
        stallMs: stallLimitMs(previousMs),
        first: { resolve, reject },
      };
    });
    candidate.promote();
    this.#adopt(candidate, directory);
    return first;
  }

  #endTrial(): Trial {
    const trial = this.#trial;
    if (trial === null) throw new TurnError('NO_TRIAL', 'no trial is running');
    this.#trial = null;
    return trial;
  }

  #adopt(detector: Detector, directory: string): void {
    this.#directory = directory;
    this.#startError = null;
    this.#backoff.started();
    detector.onCrash((reason) => this.#crashed(detector, reason));
    this.#put(detector);
  }

  #put(detector: Detector): void {
    this.#active = detector;
    this.#options.changed();
  }

  #crashed(detector: Detector, reason: string): void {
    const trial = this.#trial;
    if (trial !== null && detector === trial.warm?.detector) {
      trial.warm = null;
      return;
    }
    if (detector !== this.#active) return;
    this.#restarts += 1;
    this.#active = null;
    if (trial !== null) {
      this.#trial = null;
      this.#directory = trial.previousDirectory;
      trial.first?.reject(new TurnError('CANDIDATE_DIED', reason));
    }
    // The way back comes first: whoever hears of the crash finds the warm model in its place.
    if (trial !== null && trial.warm !== null) this.#put(trial.warm.detector);
    else this.#respawnLater();
    this.crashes.emit({ digest: detector.digest, reason });
  }

  /** Loads the previous model again at once, after a stop-swap that came to nothing. */
  async #reload(directory: string | null): Promise<void> {
    if (directory !== null && !this.#stopped) await this.#spawn(directory);
    this.#swapping = false;
  }

  #respawnLater(): void {
    const directory = this.#directory;
    if (directory === null || this.#stopped) return;
    this.#cancelRespawn?.();
    this.#cancelRespawn = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#spawn(directory));
  }

  async #spawn(directory: string): Promise<void> {
    this.#loads += 1;
    const load = this.#loads;
    const wanted = () => !this.#stopped && this.#active === null && this.#loads === load;
    try {
      const detector = await this.#options.factory.spawn(directory, 'live');
      if (wanted()) this.#adopt(detector, directory);
      else await detector.close();
    } catch (error) {
      if (!wanted()) return;
      this.#startError = (error as Error).message;
      this.#respawnLater();
    }
  }
}
