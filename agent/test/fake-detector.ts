import type { Detection } from '@vigie/models/runtime/detection';
import type { CapturedFrame, Detector, DetectorFactory, InferenceResult } from '../src/ports.js';

/** A detector whose answers a test gives by hand. */
export class FakeDetector implements Detector {
  readonly name = 'person-detector';
  readonly version = '1.0.0';
  readonly precision = 'fp32';
  readonly runtime = 'fake';
  readonly pid = 0;
  promoted = false;
  closed = false;
  /** Holds `close` up until it settles. */
  closing: Promise<void> = Promise.resolve();
  calls = 0;
  private call: { resolve(result: InferenceResult): void; reject(error: Error): void } | null = null;
  private listeners: ((reason: string) => void)[] = [];

  constructor(
    readonly digest: string,
    readonly labels: readonly string[] = ['person'],
    readonly threshold?: number,
  ) {}

  get busy(): boolean {
    return this.call !== null;
  }

  detect(): Promise<InferenceResult> {
    if (this.call !== null) return Promise.reject(new Error('one detection at a time'));
    this.calls += 1;
    return new Promise((resolve, reject) => {
      this.call = { resolve, reject };
    });
  }

  /** Answers the call in flight; settled when everyone who waited has run. `ms`: time in the child. */
  async answer(detections: Detection[] = [], ms = 6): Promise<void> {
    const call = this.call;
    if (call === null) throw new Error(`${this.digest} was not asked`);
    this.call = null;
    call.resolve({ detections, stagesMs: { preprocess: 1, inference: ms - 4, decode: 3 } });
    await settle();
  }

  async crash(reason: string): Promise<void> {
    this.call?.reject(new Error(reason));
    this.call = null;
    for (const listener of this.listeners) listener(reason);
    await settle();
  }

  promote(): void {
    this.promoted = true;
  }

  kill(reason: string): void {
    void this.crash(reason);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.closing;
  }

  onCrash(listener: (reason: string) => void): void {
    this.listeners.push(listener);
  }
}

/** Spawns fakes named by their directory; `failures` makes the next ones fail. */
export class FakeFactory implements DetectorFactory {
  readonly spawned: FakeDetector[] = [];
  failures = 0;

  async spawn(directory: string): Promise<FakeDetector> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('does not load');
    }
    const detector = new FakeDetector(directory);
    this.spawned.push(detector);
    return detector;
  }
}

export interface FakeFrame extends CapturedFrame {
  released: number;
}

export function fakeFrame(sequence: number): FakeFrame {
  return {
    sequence,
    capturedAt: 0,
    model: new Uint8Array(12),
    view: new Uint8Array(6),
    released: 0,
    release() {
      this.released += 1;
    },
  };
}

/** Lets every promise that can run do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
