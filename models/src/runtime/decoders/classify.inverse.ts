import type { OutputTensor } from '../decoder.js';
import { tensor } from './scene.inverse.js';

/** Probabilities of all classes (they sum to 1) → logits of a softmax, shifted by a constant that it must not see. */
export function softmaxLogits(probabilities: readonly number[], shift: number): Record<string, OutputTensor> {
  return {
    logits: tensor(
      [1, probabilities.length],
      probabilities.map((p) => Math.log(p) + shift),
    ),
  };
}

/** Independent probabilities → logits of sigmoids. */
export function sigmoidLogits(probabilities: readonly number[]): Record<string, OutputTensor> {
  return {
    logits: tensor(
      [1, probabilities.length, 1, 1],
      probabilities.map((p) => Math.log(p / (1 - p))),
    ),
  };
}
