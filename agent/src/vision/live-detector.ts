import type {
  CapturedFrame,
  Clock,
  Detector,
  DetectorFactory,
  FrameComparison,
  FrameResult,
  InferenceResult,
  LiveDetector,
  ModelFrameSpec,
} from '../ports.js';
import { DropCounter } from './drops.js';
import { Listeners } from './listeners.js';
import { stallLimitMs, type Trial, TurnError } from './live-trial.js';
import { Mailbox } from './mailbox.js';
import { RespawnBackoff } from './respawn-backoff.js';

export interface LiveDetectorOptions {
  clock: Clock;
  factory: DetectorFactory;
  /** Size of the planes the camera delivers; read for each frame. */
  readonly frameSize: Readonly<Pick<ModelFrameSpec, 'width' | 'height'>>;
  /** Holds the source instead of dropping a frame; null: the latest frame wins. */
  flow: { pause(): void; resume(): void } | null;
}

/**
 * The detector's pointer and the loop around it: newest frame → live child → listeners. At most one frame is in the live
 * child, one waits, one is being compared. Nothing here waits for a swap: turning the pointer is an assignment, and the
 * next frame goes to the new child. Pure: time, processes and the source's brake are arguments.
 */
export class FrameLoop implements LiveDetector {
  readonly #options: LiveDetectorOptions;
  readonly #mailbox = new Mailbox<CapturedFrame>();
  readonly #drops = new DropCounter();
  readonly #results = new Listeners<[FrameResult, CapturedFrame]>();
  readonly #comparisons = new Listeners<[FrameComparison]>();
  readonly #crashes = new Listeners<[{ digest: string; reason: string }]>();
  readonly #backoff: RespawnBackoff;
  #active: Detector | null = null;
  #directory: string | null = null;
  #trial: Trial | null = null;
  #restarts = 0;
  #busy = false;
  /** The detector that sees a frame a second time at the moment. */
  #comparing: Detector | null = null;
  #held = false;
  #lastSequence = 0;
  /** What the last frame took in its child, ms. */
  #lastMs = 0;
  #cancelRespawn: (() => void) | null = null;
  #stopped = false;
  #lastStartError: string | null = null;

  constructor(options: LiveDetectorOptions) {
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
  get restarts(): number {
    return this.#restarts;
  }
  get drops(): Readonly<Record<string, number>> {
    return this.#drops.counts;
  }
  /** True while a candidate is judged. */
  get trialRunning(): boolean {
    return this.#trial !== null;
  }
  /** Why the last attempt to load the active model failed; null once it runs. */
  get startError(): string | null {
    return this.#lastStartError;
  }

  /** The listener may read the frame's buffers during the call only. */
  onFrame(listener: (result: FrameResult, frame: CapturedFrame) => void): () => void {
    return this.#results.add(listener);
  }
  onResult(listener: (result: FrameResult) => void): () => void {
    return this.#results.add((result) => listener(result));
  }
  onComparison(listener: (comparison: FrameComparison) => void): () => void {
    return this.#comparisons.add(listener);
  }
  onCrash(listener: (crash: { digest: string; reason: string }) => void): () => void {
    return this.#crashes.add(listener);
  }

  /** Starts the model in `directory` and keeps it alive from then on. Resolves whether or not the first attempt succeeded. */
  async start(directory: string): Promise<void> {
    this.#cancelRespawn?.();
    this.#directory = directory;
    await this.#spawn(directory);
  }

  /** Takes a frame from the camera. */
  offer(frame: CapturedFrame): void {
    this.#drops.add('overrun', Math.max(0, frame.sequence - this.#lastSequence - 1));
    this.#lastSequence = frame.sequence;
    if (this.#stopped) {
      frame.release();
      return;
    }
    const displaced = this.#mailbox.put(frame);
    if (displaced !== null) this.#drop(displaced, 'busy');
    this.#next();
    this.#hold(this.#mailbox.full);
  }

  turnTo(next: Detector, directory: string, compareEvery: number): Promise<FrameResult> {
    if (this.#trial !== null) return Promise.reject(new TurnError('TRIAL_RUNNING', 'a trial is running already'));
    this.#cancelRespawn?.();
    const first = new Promise<FrameResult>((resolve, reject) => {
      this.#trial = {
        candidate: next,
        compareEvery,
        seen: 0,
        warm: this.#active,
        previousDirectory: this.#directory,
        stallMs: stallLimitMs(this.#lastMs),
        first: { resolve, reject },
      };
    });
    next.promote();
    this.#adopt(next, directory);
    return first;
  }

  async commit(): Promise<void> {
    const trial = this.#trial;
    if (trial === null) throw new TurnError('NO_TRIAL', 'no trial is running');
    this.#trial = null;
    await trial.warm?.close();
  }

  async turnBack(): Promise<void> {
    const trial = this.#trial;
    if (trial === null) throw new TurnError('NO_TRIAL', 'no trial is running');
    trial.first?.reject(new TurnError('TURNED_BACK', 'turned back before the first result'));
    this.#restorePrevious(trial);
    await trial.candidate.close();
  }

  /** Ends all children; frames that still wait are released. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRespawn?.();
    this.#mailbox.take()?.release();
    this.#hold(false);
    const detectors = [this.#active, this.#trial?.warm ?? null];
    this.#active = null;
    await Promise.all(detectors.map((detector) => detector?.close()));
  }

  #next(): void {
    if (this.#busy || this.#stopped || !this.#mailbox.full) return;
    const detector = this.#active;
    // A source that can wait does; after a turn back the warm child may still have its last comparison.
    if (detector === null ? this.#options.flow !== null : detector === this.#comparing) return;
    const frame = this.#mailbox.take() as CapturedFrame;
    if (detector === null) this.#drop(frame, 'no-detector');
    else void this.#run(detector, frame);
    this.#hold(false);
  }

  /** Brakes the source, or lets it go: then the next frame may arrive during the call. */
  #hold(held: boolean): void {
    const { flow } = this.#options;
    if (flow === null || held === this.#held) return;
    this.#held = held;
    if (held) flow.pause();
    else flow.resume();
  }

  async #run(detector: Detector, frame: CapturedFrame): Promise<void> {
    this.#busy = true;
    const startedAt = this.#options.clock.now();
    const stopWatching = this.#watchCandidate(detector);
    const inferred = await this.#detect(detector, frame).catch(() => null);
    stopWatching();
    const doneAt = this.#options.clock.now();
    this.#lastMs = doneAt - startedAt;
    this.#busy = false;
    if (inferred === null) this.#drop(frame, 'detector-died');
    // The next frame is on its way to the child before anyone looks at this result.
    this.#next();
    if (inferred === null) return;
    const { sequence, capturedAt } = frame;
    const { digest } = detector;
    const stagesMs = { capture: startedAt - capturedAt, ...inferred.stagesMs };
    this.#publish(detector, { sequence, capturedAt, doneAt, digest, detections: inferred.detections, stagesMs }, frame);
  }

  /** With a warm model at hand, a hanging candidate blinds the board no longer than `stallMs`. */
  #watchCandidate(detector: Detector): () => void {
    const trial = this.#trial;
    if (trial === null || detector !== trial.candidate || trial.warm === null) return () => {};
    const { stallMs } = trial;
    return this.#options.clock.after(stallMs, () => detector.kill(`no answer within ${Math.round(stallMs)} ms`));
  }

  #detect(detector: Detector, frame: CapturedFrame): Promise<InferenceResult> {
    const { width, height } = this.#options.frameSize;
    return detector.detect(frame.model, width, height, frame.content);
  }

  #publish(detector: Detector, result: FrameResult, frame: CapturedFrame): void {
    const trial = this.#trial;
    try {
      this.#results.emit(result, frame);
    } finally {
      const compared = trial !== null && detector === trial.candidate && this.#compare(trial, result, frame);
      if (!compared) frame.release();
    }
    if (detector !== trial?.candidate || trial.first === null) return;
    trial.first.resolve(result);
    trial.first = null;
  }

  /** Shows every N-th frame to the warm model too, beside the next live one. Returns whether it keeps the frame. */
  #compare(trial: Trial, result: FrameResult, frame: CapturedFrame): boolean {
    trial.seen += 1;
    const { warm } = trial;
    if (warm === null || trial.compareEvery < 1 || trial.seen % trial.compareEvery !== 0 || this.#comparing !== null) {
      return false;
    }
    this.#comparing = warm;
    this.#detect(warm, frame)
      .then((other) => {
        this.#comparisons.emit({
          sequence: result.sequence,
          live: { digest: result.digest, detections: result.detections, inferenceMs: result.stagesMs.inference },
          other: { digest: warm.digest, detections: other.detections, inferenceMs: other.stagesMs.inference },
        });
      })
      // A warm model that died is noticed where its crash is reported.
      .catch(() => {})
      .finally(() => {
        this.#comparing = null;
        frame.release();
        this.#next();
      });
    return true;
  }

  #drop(frame: CapturedFrame, reason: string): void {
    this.#drops.add(reason, 1);
    frame.release();
  }

  #adopt(detector: Detector, directory: string): void {
    this.#active = detector;
    this.#directory = directory;
    this.#lastStartError = null;
    this.#backoff.started();
    detector.onCrash((reason) => this.#crashed(detector, reason));
    this.#next();
  }

  #crashed(detector: Detector, reason: string): void {
    const trial = this.#trial;
    if (trial !== null && detector === trial.warm) {
      trial.warm = null;
      return;
    }
    if (detector !== this.#active) return;
    this.#restarts += 1;
    if (trial === null) {
      this.#active = null;
      this.#respawnLater();
    } else {
      trial.first?.reject(new TurnError('CANDIDATE_DIED', reason));
      this.#restorePrevious(trial);
    }
    this.#crashes.emit({ digest: detector.digest, reason });
  }

  /** Ends a trial on the model before it; when its child is gone too, it is loaded again. */
  #restorePrevious(trial: Trial): void {
    this.#trial = null;
    this.#active = trial.warm;
    this.#directory = trial.previousDirectory;
    if (this.#active === null) this.#respawnLater();
    else this.#next();
  }

  #respawnLater(): void {
    const directory = this.#directory;
    if (directory === null || this.#stopped) return;
    this.#cancelRespawn?.();
    this.#cancelRespawn = this.#options.clock.after(this.#backoff.nextMs(), () => void this.#spawn(directory));
  }

  async #spawn(directory: string): Promise<void> {
    const wanted = () => !this.#stopped && this.#active === null && this.#directory === directory;
    try {
      const detector = await this.#options.factory.spawn(directory, 'live');
      if (wanted()) this.#adopt(detector, directory);
      else await detector.close();
    } catch (error) {
      if (!wanted()) return;
      this.#lastStartError = (error as Error).message;
      this.#respawnLater();
    }
  }
}
