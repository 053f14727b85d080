import type { Detection } from './detection.js';
import type { ContentRectangle } from './frame.js';

/** One output of a model for one frame. */
export interface OutputTensor {
  /** Row-major. Integer outputs (class ids, counts) are converted before they come here. */
  data: Float32Array;
  /** As the model gave them; the batch is 1. */
  dims: readonly number[];
}

/** What every decoder must know of the model, beside its own parameters. */
export interface DecoderInput {
  /** Pixels of the model's frame. */
  width: number;
  height: number;
  labels: readonly string[];
  /** Lowest score kept, per class id, 0..1. */
  thresholds: readonly number[];
}

/** An output that a decoder reads, checked against the model before its first frame. */
export interface OutputRequirement {
  /** Where the manifest names it, e.g. `decoder.outputs.logits`. */
  field: string;
  /** The model's name of the output. */
  name: string;
  /** What its shape must be; null: any size. */
  dims: readonly (number | null)[];
  /** Other shapes with the same meaning: the batch left out, a rank that some exporters add. */
  alternatives?: readonly (readonly (number | null)[])[];
}

/** Turns one frame's outputs into detections. Pure: the same outputs give the same detections. */
export interface Decoder {
  readonly outputs: readonly OutputRequirement[];
  /** Whether non-maximum suppression must follow; end-to-end heads, transformers and classifiers need none. */
  readonly suppress: boolean;
  /**
   * `outputs` by the model's names; candidates above their thresholds, boxes 0..1 of the picture that stands at `content`
   * in the model's frame. Not a number, and boxes that are empty or outside the picture, are left out.
   */
  decode(outputs: Readonly<Record<string, OutputTensor>>, content: ContentRectangle): Detection[];
}
