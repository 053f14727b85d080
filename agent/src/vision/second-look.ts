import type { CapturedFrame, ComparedView, Detector, FrameComparison, FrameResult, InferenceResult } from '../ports.js';
import type { Companion } from './live-trial.js';

export interface SecondLookOptions {
  detect(detector: Detector, frame: CapturedFrame): Promise<InferenceResult>;
  compared(comparison: FrameComparison): void;
  /** The second detector is free again. */
  idle(): void;
}

/** Shows frames that the live model has seen to a second one, one at a time and beside the next live frame. */
export class SecondLook {
  readonly #options: SecondLookOptions;
  #detector: Detector | null = null;
  #ended: Promise<void> = Promise.resolve();
  /** Looks begun so far: who finds it changed was not alone. */
  begun = 0;

  constructor(options: SecondLookOptions) {
    this.#options = options;
  }

  /** The detector that has a frame at the moment. */
  get detector(): Detector | null {
    return this.#detector;
  }

  /** Settles when the look under way is over. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Shows the companion every N-th frame. Returns whether it keeps the frame, which it then releases. */
  offer(companion: Companion, live: Detector, result: FrameResult, frame: CapturedFrame): boolean {
    const { detector, every } = companion;
    companion.seen += 1;
    if (every < 1 || companion.seen % every !== 0 || this.#detector !== null) return false;
    this.#detector = detector;
    this.begun += 1;
    this.#ended = this.#look(detector, live, result, frame);
    return true;
  }

  async #look(detector: Detector, live: Detector, result: FrameResult, frame: CapturedFrame): Promise<void> {
    // A detector that died is noticed where its crash is reported.
    const other = await this.#options.detect(detector, frame).catch(() => null);
    this.#detector = null;
    frame.release();
    try {
      if (other === null) return;
      const { sequence } = result;
      this.#options.compared({ sequence, live: viewOf(live, result), other: viewOf(detector, other) });
    } finally {
      this.#options.idle();
    }
  }
}

function viewOf({ digest, labels, threshold }: Detector, { detections, stagesMs }: InferenceResult): ComparedView {
  const { preprocess, inference, decode } = stagesMs;
  return { digest, labels, threshold, detections, childMs: preprocess + inference + decode };
}
