import type { ContentRectangle } from '@vigie/models/runtime/frame';
import type { CapturedFrame } from '../ports.js';

/** The two raw streams of which every frame consists. */
export type FramePart = 'model' | 'view';

const PARTS = ['model', 'view'] as const;

/**
 * Slots being filled or next in line. A stream reads ahead by up to two frames while the consumer is busy, and must know
 * its next buffer before it may read on (a socket with a buffer of ours asks for the next one even when told to stop): three.
 */
const WINDOW = 3;
const READ_AHEAD = WINDOW - 1;
/**
 * ffmpeg does not write its two outputs strictly in turns: one runs ahead by some frames and would block for ever if it was
 * not read on. The window then grows, up to this many slots.
 */
export const MAX_WINDOW = 24;

interface Slot {
  model: Uint8Array;
  view: Uint8Array;
}

export interface FrameRingOptions {
  /** Width and height of the model's planes, pixels. */
  modelSize: Readonly<{ width: number; height: number }>;
  viewBytes: number;
  /** Frames the consumer may hold at once: waiting, in detection, in comparison. */
  consumerSlots: number;
  /** Wait for the consumer (true) or overwrite the newest frame it has no room for. */
  lossless: boolean;
  content: ContentRectangle;
  now(): number;
  nextSequence(): number;
  onFrame(frame: CapturedFrame): void;
  /** A stream that had to wait may read on. */
  onRoom(part: FramePart): void;
}

/**
 * Preallocated frame slots that two byte streams fill side by side. A frame is complete when both of its parts are; the
 * k-th model picture belongs to the k-th view picture because both leave the same `split`. Nothing is copied or allocated per
 * frame but the small `CapturedFrame` object.
 */
export class FrameRing {
  readonly #options: FrameRingOptions;
  /** Three planes. */
  readonly #modelBytes: number;
  readonly #window: Slot[] = [];
  readonly #free: Slot[] = [];
  /** Per part: place in the window and bytes already there. */
  readonly #position: Record<FramePart, number> = { model: 0, view: 0 };
  readonly #waiting: Record<FramePart, boolean> = { model: false, view: false };
  readonly #filled: Record<FramePart, number> = { model: 0, view: 0 };
  #paused = false;
  #delivering = false;
  /** Complete frames for which the consumer had no slot left. */
  overwritten = 0;

  constructor(options: FrameRingOptions) {
    this.#options = options;
    this.#modelBytes = 3 * options.modelSize.width * options.modelSize.height;
    for (let index = 0; index < WINDOW; index += 1) this.#window.push(this.#newSlot());
    for (let index = 0; index < options.consumerSlots; index += 1) this.#free.push(this.#newSlot());
  }

  /** Where the next bytes of a part go: never empty, never past the end of its frame. */
  target(part: FramePart): Uint8Array {
    return this.#window[this.#position[part]][part].subarray(this.#filled[part]);
  }

  /** May this part be read now? Not when complete frames wait for the consumer; a lead over the other part is let be. */
  mayRead(part: FramePart): boolean {
    const position = this.#position[part];
    if (position < READ_AHEAD) return true;
    return Math.min(this.#position.model, this.#position.view) === 0 && position < MAX_WINDOW - 1;
  }

  /** `bytes` of a part have been written into `target(part)`. Returns whether the part may be read on. */
  advance(part: FramePart, bytes: number): boolean {
    this.#filled[part] += bytes;
    const size = part === 'model' ? this.#modelBytes : this.#options.viewBytes;
    if (this.#filled[part] === size) {
      this.#filled[part] = 0;
      this.#position[part] += 1;
      if (this.#position[part] === this.#window.length) this.#window.push(this.#newSlot());
      this.#deliver();
    }
    this.#waiting[part] = !this.mayRead(part);
    return !this.#waiting[part];
  }

  /** True when no frame waits and the consumer holds none. */
  get idle(): boolean {
    return (
      Math.min(this.#position.model, this.#position.view) === 0 && this.#free.length === this.#options.consumerSlots
    );
  }

  /** No frame is handed over until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  /** Forgets half-read frames: the source starts anew. */
  restart(): void {
    for (const part of PARTS) {
      this.#waiting[part] = false;
      this.#position[part] = 0;
      this.#filled[part] = 0;
    }
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (!this.#paused && this.#position.model > 0 && this.#position.view > 0) {
      const replacement = this.#free.pop();
      if (replacement === undefined && this.#options.lossless) break;
      const slot = this.#window.shift() as Slot;
      this.#window.push(replacement ?? slot);
      this.#position.model -= 1;
      this.#position.view -= 1;
      const sequence = this.#options.nextSequence();
      if (replacement === undefined) this.overwritten += 1;
      else this.#options.onFrame(this.#frame(slot, sequence));
    }
    this.#delivering = false;
    for (const part of PARTS) {
      if (!this.#waiting[part] || !this.mayRead(part)) continue;
      this.#waiting[part] = false;
      this.#options.onRoom(part);
    }
  }

  #newSlot(): Slot {
    return {
      model: Buffer.allocUnsafeSlow(this.#modelBytes),
      view: Buffer.allocUnsafeSlow(this.#options.viewBytes),
    };
  }

  #frame(slot: Slot, sequence: number): CapturedFrame {
    let released = false;
    return {
      sequence,
      capturedAt: this.#options.now(),
      model: slot.model,
      modelSize: this.#options.modelSize,
      view: slot.view,
      content: this.#options.content,
      release: () => {
        if (released) return;
        released = true;
        this.#free.push(slot);
        this.#deliver();
      },
    };
  }
}
