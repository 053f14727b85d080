import { stringify } from 'yaml';
import type { Guess } from './clues.js';
import { pictureOf } from './guess.js';
import { type ModelFacts, sizesOf } from './model-facts.js';
import { madeForSize } from './ultralytics.js';

export interface SkeletonSource {
  facts: ModelFacts;
  /** The likeliest guess; undefined: the decoder is left to the reader. */
  guess: Guess | undefined;
  /** File name of the model as the package will hold it. */
  file: string;
  sha256: string;
}

/** Size for models that take any; the reader may choose another. */
const OPEN_SIZE: Readonly<Record<string, number>> = { classify: 224, ssd: 320, 'ssd-raw': 320 };

/**
 * Text of a `manifest.yaml` that says what the file says. What nobody can read from a file (licence, labels, golden frames)
 * and what was guessed is marked with a comment; `vigie-models pack` refuses the folder until the former is there.
 */
export function manifestSkeleton({ facts, guess, file, sha256 }: SkeletonSource): string {
  const name = packageName(file);
  const task = guess?.family === 'classify' ? 'classify' : 'detect';
  const precision = facts.precision;
  const lines = [
    '# Written by vigie-models inspect. FILL: only you know it. CHECK: guessed; compare with the documentation of the model.',
    yaml({ name, version: '1.0.0', task }),
    labelsComment(facts, guess),
    yaml({ labels: 'labels.txt' }),
    '# FILL: the licence of the weights, as an SPDX name',
    '# license: Apache-2.0',
    yaml({ model: { file, engine: facts.engine, precision, sha256 } }),
    ...inputLines(facts, guess),
    ...decoderLines(guess),
    '# CHECK: a threshold that suits the task',
    yaml({ thresholds: { default: task === 'classify' ? 0.5 : 0.4 } }),
    yaml({ nms: { iou: 0.6, perClass: true, maxDetections: 100 } }),
    '# FILL: at least one picture with what must be found in it; vigie-models detect shows what the model finds. Boxes 0..1.',
    '# golden:',
    '#   - file: golden/first.jpg',
    '#     detections:',
    '#       - { label: LABEL, score: 0.8, box: [0.1, 0.2, 0.5, 0.9] }',
    '#     tolerance: { score: 0.08, iou: 0.75 }',
  ];
  return `${lines.join('\n')}\n`;
}

/** A package name out of a file name: lower case, digits, `-` and `_`. */
export function packageName(file: string): string {
  const stem = file
    .toLowerCase()
    .replace(/\.[a-z0-9]+$/, '')
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, 64);
  return stem === '' ? 'model' : stem;
}

function labelsComment({ labels }: ModelFacts, guess: Guess | undefined): string {
  const shown = labels?.slice(0, 8).map((label) => JSON.stringify(label));
  const written = shown === undefined ? '' : `; the model says ${shown.join(', ')}${labels!.length > 8 ? ', ...' : ''}`;
  const count = guess?.labels ?? labels?.length;
  return oneLine(
    `# FILL: labels.txt, one label a line${count === undefined || count === null ? '' : `, ${count} of them`}${written}`,
  );
}

function inputLines(facts: ModelFacts, guess: Guess | undefined): string[] {
  const picture = pictureOf(facts);
  const tensor = picture?.tensor ?? facts.inputs[0];
  const habit = guess?.input ?? { color: 'RGB' as const, resize: 'letterbox' as const };
  const open = picture === null || picture.width === null || picture.height === null;
  const size = OPEN_SIZE[guess?.family ?? ''] ?? 640;
  const wanted = madeForSize(facts.metadata) ?? { width: size, height: size };
  const bytes = tensor?.dtype === 'uint8';
  const comments = [
    ...(picture === null ? [`# CHECK: no input of the model looks like a picture: ${describeInputs(facts)}`] : []),
    ...(open && picture !== null ? ['# CHECK: the model takes pictures of any size; choose width and height'] : []),
    ...(facts.inputs.length > 1 ? [`# CHECK: the model wants more than a picture: ${describeInputs(facts)}`] : []),
    '# CHECK: color, mean, std and resize are habits of this family; no file says them',
  ];
  const plain = bytes || habit.std === undefined;
  const input = {
    name: tensor?.name ?? 'FILL',
    width: picture?.width ?? wanted.width,
    height: picture?.height ?? wanted.height,
    layout: picture?.layout ?? 'NCHW',
    color: habit.color,
    dtype: bytes ? 'uint8' : 'float32',
    ...(!plain && { mean: habit.mean, std: habit.std }),
    resize: habit.resize,
    ...(habit.anchor !== undefined && { anchor: habit.anchor }),
    ...(habit.pad !== undefined && { pad: habit.pad }),
  };
  return [...comments, yaml({ input })];
}

function describeInputs({ inputs }: ModelFacts): string {
  return inputs
    .slice(0, 8)
    .map((tensor) =>
      oneLine(
        `${tensor.name} ${tensor.dtype} [${sizesOf(tensor)
          .map((size) => size ?? '?')
          .join(', ')}]`,
      ),
    )
    .join('; ');
}

function decoderLines(guess: Guess | undefined): string[] {
  if (guess === undefined) {
    return [
      '# FILL: no decoder was recognised; docs/decoders.md lists them with their outputs',
      '# decoder: { type: ... }',
    ];
  }
  return [
    oneLine(`# CHECK (${Math.round(100 * guess.confidence)} %): ${guess.reason}`),
    yaml({ decoder: guess.decoder }),
  ];
}

/** A comment of one line: what a model calls its outputs must not end it. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, '?').slice(0, 1000);
}

/** Block style. */
function yaml(value: object): string {
  return stringify(value, { lineWidth: 0 }).trimEnd();
}
