import type { Clues, Guess } from './clues.js';
import { guessClassifier } from './guess-classifier.js';
import { guessPairs } from './guess-pairs.js';
import { guessRows } from './guess-rows.js';
import { type ModelFacts, sizesOf, type TensorFacts } from './model-facts.js';

/** The input that takes the picture: the first with four sizes, three of them a picture's. */
export function pictureOf(facts: ModelFacts): {
  tensor: TensorFacts;
  layout: 'NCHW' | 'NHWC';
  width: number | null;
  height: number | null;
} | null {
  for (const tensor of facts.inputs) {
    const sizes = sizesOf(tensor);
    if (sizes.length !== 4) continue;
    if (sizes[1] === 3) return { tensor, layout: 'NCHW', height: sizes[2], width: sizes[3] };
    if (sizes[3] === 3) return { tensor, layout: 'NHWC', height: sizes[1], width: sizes[2] };
    // Hugging Face leaves even the channels open; its models are PyTorch's.
    if (sizes[1] === null && sizes[3] === null) return { tensor, layout: 'NCHW', height: null, width: null };
  }
  return null;
}

/** Every decoder family that fits names and shapes, likeliest first; empty when none does. */
export function guessDecoders(facts: ModelFacts): Guess[] {
  const picture = pictureOf(facts);
  if (picture === null) return [];
  const clues: Clues = {
    width: picture.width,
    height: picture.height,
    outputs: facts.outputs.map((output) => ({
      name: output.name,
      sizes: sizesOf(output),
      ...(output.madeBy && { madeBy: output.madeBy }),
    })),
    labels: facts.labels?.length ?? null,
    operators: facts.operators,
    metadata: facts.metadata,
  };
  const guesses = [...guessPairs(clues), ...guessRows(clues), ...guessClassifier(clues)];
  return guesses.sort((a, b) => b.confidence - a.confidence);
}
