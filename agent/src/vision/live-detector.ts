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
import { LivePointer } from './live-pointer.js';
import { Mailbox } from './mailbox.js';
import { SecondLook } from './second-look.js';

export interface LiveDetectorOptions {
  clock: Clock;
  factory: DetectorFactory;
  /** Size of the planes of a frame that does not tell its own; read for each. */
  readonly frameSize: Readonly<Pick<ModelFrameSpec, 'width' | 'height'>>;
  /** Holds the source instead of dropping a frame; null: the latest frame wins. */
  flow: { pause(): void; resume(): void } | null;
}

/**
 * The loop around the detector's pointer: newest frame → live child → listeners. At most one frame is in the live child, one
 * waits, one is being compared. Nothing here waits for a swap: the next frame goes to whoever the pointer names by then.
 * Pure: time, processes and the source's brake are arguments.
 */
export class FrameLoop implements LiveDetector {
  readonly #options: LiveDetectorOptions;
  readonly #pointer: LivePointer;
  readonly #second: SecondLook;
  readonly #mailbox = new Mailbox<CapturedFrame>();
  readonly #drops = new DropCounter();
  readonly #results = new Listeners<[FrameResult, CapturedFrame]>();
  readonly #comparisons = new Listeners<[FrameComparison]>();
  #busy = false;
  #held = false;
  #lastSequence = 0;
  /** What the last frame took in its child, ms. */
  #lastMs = 0;
  #stopped = false;

  constructor(options: LiveDetectorOptions) {
    this.#options = options;
    const { clock, factory } = options;
    this.#pointer = new LivePointer({ clock, factory, changed: () => this.#next() });
    this.#second = new SecondLook({
      detect: (detector, frame) => this.#detect(detector, frame),
      compared: (comparison) => this.#comparisons.emit(comparison),
      idle: () => this.#next(),
    });
  }

  get active(): Detector | null {
    return this.#pointer.active;
  }
  /** Where the active model (or the one being started again) was loaded from. */
  get directory(): string | null {
    return this.#pointer.directory;
  }
  get restarts(): number {
    return this.#pointer.restarts;
  }
  get drops(): Readonly<Record<string, number>> {
    return this.#drops.counts;
  }
  /** True while a candidate is judged. */
  get trialRunning(): boolean {
    return this.#pointer.trialRunning;
  }
  /** Why the last attempt to load the active model failed; null once it runs. */
  get startError(): string | null {
    return this.#pointer.startError;
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
    return this.#pointer.crashes.add(listener);
  }

  /** Starts the model in `directory` and keeps it alive from then on. Resolves whether or not the first attempt succeeded. */
  start(directory: string): Promise<void> {
    return this.#pointer.start(directory);
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

  beginShadow(candidate: Detector, everyFrames: number): void {
    this.#pointer.beginShadow(candidate, everyFrames);
  }

  async endShadow(): Promise<void> {
    this.#pointer.endShadow();
    await this.#second.ended;
  }

  turnTo(next: Detector, directory: string, compareEvery: number): Promise<FrameResult> {
    return this.#pointer.turnTo(next, directory, compareEvery, this.#lastMs);
  }

  stopThenTurn(load: () => Promise<Detector>, directory: string): Promise<FrameResult> {
    return this.#pointer.stopThenTurn(load, directory);
  }

  commit(): Promise<void> {
    return this.#pointer.commit();
  }

  turnBack(): Promise<void> {
    return this.#pointer.turnBack();
  }

  /** Ends all children; frames that still wait are released. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#mailbox.take()?.release();
    this.#hold(false);
    await this.#pointer.stop();
  }

  #next(): void {
    if (this.#busy || this.#stopped || !this.#mailbox.full) return;
    const detector = this.#pointer.active;
    // A source that can wait does; after a turn back the warm child may still have its last comparison.
    if (detector === null ? this.#options.flow !== null : detector === this.#second.detector) return;
    const frame = this.#mailbox.take() as CapturedFrame;
    if (detector === null) this.#drop(frame, this.#pointer.swapping ? 'swap' : 'no-detector');
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
    const wasAlone = this.#second.detector === null;
    const looksBefore = this.#second.begun;
    const stopWatching = this.#watch(detector);
    const inferred = await this.#detect(detector, frame).catch(() => null);
    stopWatching();
    const doneAt = this.#options.clock.now();
    this.#lastMs = doneAt - startedAt;
    const overlapped = !wasAlone || this.#second.begun !== looksBefore;
    this.#busy = false;
    if (inferred === null) this.#drop(frame, 'detector-died');
    // The next frame is on its way to the child before anyone looks at this result.
    this.#next();
    if (inferred === null) return;
    const { sequence, capturedAt } = frame;
    const { digest } = detector;
    const { detections } = inferred;
    const stagesMs = { capture: startedAt - capturedAt, ...inferred.stagesMs };
    this.#publish(detector, { sequence, capturedAt, doneAt, digest, detections, stagesMs, overlapped }, frame);
  }

  #watch(detector: Detector): () => void {
    const patienceMs = this.#pointer.patienceMs(detector);
    if (patienceMs === null) return () => {};
    const reason = `no answer within ${Math.round(patienceMs)} ms`;
    return this.#options.clock.after(patienceMs, () => detector.kill(reason));
  }

  #detect(detector: Detector, frame: CapturedFrame): Promise<InferenceResult> {
    const { width, height } = frame.modelSize ?? this.#options.frameSize;
    return detector.detect(frame.model, width, height, frame.content);
  }

  #publish(detector: Detector, result: FrameResult, frame: CapturedFrame): void {
    const companion = this.#pointer.active === detector ? this.#pointer.companion : null;
    try {
      this.#results.emit(result, frame);
    } finally {
      const kept = companion !== null && this.#second.offer(companion, detector, result, frame);
      if (!kept) frame.release();
    }
    this.#pointer.saw(detector, result);
  }

  #drop(frame: CapturedFrame, reason: string): void {
    this.#drops.add(reason, 1);
    frame.release();
  }
}
