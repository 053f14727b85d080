import type { CapturedFrame, ModelFrameSpec } from '../ports.js';
import { type CaptureOptions, contentRectangle, type SourceInfo, viewSize } from './ffmpeg-arguments.js';
import type { FfmpegCapture } from './ffmpeg-capture.js';
import { FrameRing } from './frame-ring.js';

/** Frames held at once by the consumer: one waiting, one in detection, one in comparison. */
const CONSUMER_SLOTS = 3;

export interface FrameFeedOptions {
  info: SourceInfo;
  capture: Pick<CaptureOptions, 'model' | 'viewWidth'> & { lossless: boolean };
  now(): number;
  nextSequence(feed: FrameFeed): number;
  onFrame(feed: FrameFeed, frame: CapturedFrame): void;
}

/** A ring for frames of one size, and the ffmpeg that fills it at the moment. */
export class FrameFeed {
  readonly ring: FrameRing;
  readonly shape: string;
  capture: FfmpegCapture | null = null;

  constructor({ info, capture, now, nextSequence, onFrame }: FrameFeedOptions) {
    const { model, viewWidth, lossless } = capture;
    const view = viewSize(info, viewWidth);
    this.shape = feedShape(info, model, viewWidth);
    this.ring = new FrameRing({
      modelSize: { width: model.width, height: model.height },
      viewBytes: (view.width * view.height * 3) / 2,
      consumerSlots: CONSUMER_SLOTS,
      lossless,
      content: contentRectangle(info, model),
      now,
      nextSequence: () => nextSequence(this),
      onFrame: (frame) => onFrame(this, frame),
      onRoom: (part) => this.capture?.wake(part),
    });
  }
}

/** A second feed that is to take over from the first. */
export interface Standby {
  feed: FrameFeed;
  /** When its first frame came, monotonic ms. */
  since: number | null;
  cancelLimit: () => void;
}

/** Equal for two models that can be given the same frames. */
export function modelShape({ width, height, resize, pad = 0, anchor }: ModelFrameSpec): string {
  return JSON.stringify([width, height, resize, pad, anchor]);
}

/** Equal where the slots of a ring can be used again. */
export function feedShape(info: SourceInfo, model: ModelFrameSpec, viewWidth: number): string {
  return JSON.stringify([viewSize(info, viewWidth), contentRectangle(info, model), modelShape(model)]);
}
