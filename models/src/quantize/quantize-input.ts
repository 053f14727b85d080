import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseLabels } from '../package/labels.js';
import { MANIFEST_FILE } from '../package/limits.js';
import type { InputSpec } from '../package/manifest.js';
import { parseManifest } from '../package/manifest-file.js';
import type { Reading } from './max-drop-judge.js';
import { QuantizeError } from './quantize-error.js';

/** What the user said of the pixels; goes before the manifest. */
export interface InputOverrides {
  color?: 'RGB' | 'BGR';
  mean?: number[];
  std?: number[];
  resize?: 'stretch' | 'letterbox';
  pad?: number;
  anchor?: 'center' | 'top-left';
}

/** The manifest beside a model that names it, or undefined. Throws PackageError MANIFEST_INVALID, LABELS_INVALID. */
export async function readManifestBeside(modelPath: string): Promise<Reading | undefined> {
  const folder = dirname(modelPath);
  const text = await readFile(join(folder, MANIFEST_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const manifest = text === undefined ? undefined : parseManifest(text);
  if (manifest?.model.file !== basename(modelPath)) return undefined;
  return {
    manifest,
    labels: parseLabels(await readFile(join(folder, manifest.labels)), manifest.labels, manifest.task),
  };
}

/** How pixels become the model's input: the file's name and size, the user's words, the manifest's, defaults. */
export function inputSpecOf(
  model: Pick<InputSpec, 'name' | 'width' | 'height'>,
  known: InputSpec | undefined,
  given: InputOverrides,
): InputSpec {
  return {
    ...known,
    name: model.name,
    width: model.width,
    height: model.height,
    layout: 'NCHW',
    dtype: 'float32',
    color: given.color ?? known?.color ?? 'RGB',
    mean: given.mean ?? known?.mean,
    std: given.std ?? known?.std,
    resize: given.resize ?? known?.resize ?? 'stretch',
    pad: given.pad ?? known?.pad,
    anchor: given.anchor ?? known?.anchor,
  };
}

/** With the pixels read as `input` says. Throws MANIFEST_NEEDED. */
export function readingWith(reading: Reading | undefined, modelPath: string, input: InputSpec): Reading {
  if (reading) return { ...reading, manifest: { ...reading.manifest, input } };
  throw new QuantizeError(
    'MANIFEST_NEEDED',
    `--max-drop must read the model's outputs: write a ${MANIFEST_FILE} beside it whose model.file is ` +
      `"${basename(modelPath)}" (vigie-models inspect makes a skeleton)`,
  );
}

/** Every fifth picture is held out, from ten pictures on; fewer are used for both. */
export function splitHeldOut(paths: readonly string[]): { calibration: string[]; heldOut: string[]; what: string } {
  if (paths.length < 10) return { calibration: [...paths], heldOut: [...paths], what: 'calibration pictures' };
  return {
    calibration: paths.filter((_, i) => i % 5 !== 4),
    heldOut: paths.filter((_, i) => i % 5 === 4),
    what: 'held-out pictures of the calibration folder',
  };
}

/** At most `count` of a list, evenly spread. */
export function spreadOver<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]);
}
