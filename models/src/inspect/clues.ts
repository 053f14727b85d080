import type { DecoderSpec } from '../runtime/decoders/registry.js';

/** A decoder that would read a model's outputs, and why. */
export interface Guess {
  family: DecoderSpec['type'];
  /** 0..1; above 0.8 names and shapes leave little doubt. */
  confidence: number;
  reason: string;
  /** Labels that a manifest must bring; null where shapes do not tell. */
  labels: number | null;
  decoder: DecoderSpec;
  /** How pictures usually reach models of this family; each is a guess of its own. */
  input: InputHabit;
}

/** What the exporting project does to its pictures. */
export interface InputHabit {
  color: 'RGB' | 'BGR';
  /** Pixel units, in the order of `color`; absent: none. */
  mean?: [number, number, number];
  std?: [number, number, number];
  resize: 'letterbox' | 'stretch';
  anchor?: 'top-left';
  pad?: number;
}

/** What the rules look at. */
export interface Clues {
  width: number | null;
  height: number | null;
  /** Outputs with their sizes, null where open. */
  outputs: { name: string; sizes: (number | null)[]; madeBy?: string }[];
  /** Labels that the exporter wrote down. */
  labels: number | null;
  operators: Readonly<Record<string, number>>;
  metadata: Readonly<Record<string, string>>;
}

export const SCALED_RGB: Pick<InputHabit, 'color' | 'mean' | 'std'> = {
  color: 'RGB',
  mean: [0, 0, 0],
  std: [255, 255, 255],
};
export const IMAGENET: Pick<InputHabit, 'color' | 'mean' | 'std'> = {
  color: 'RGB',
  mean: [123.675, 116.28, 103.53],
  std: [58.395, 57.12, 57.375],
};

/** Cells of feature maps with these strides; null while the input's size is open. */
export function cells({ width, height }: Clues, strides: readonly number[]): number | null {
  if (width === null || height === null) return null;
  return strides.reduce((sum, stride) => sum + Math.ceil(width / stride) * Math.ceil(height / stride), 0);
}

/** How well a number of classes agrees with what the exporter wrote down, or with COCO's 80. Added to a confidence. */
export function classesSpeak(clues: Clues, classes: number): number {
  if (clues.labels !== null) return clues.labels === classes ? 0.45 : -0.3;
  return classes === 80 ? 0.35 : 0;
}
