// What the build knows of a network before it makes packages of it: file, version, provenance, figures of its training.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { sha256 } from './places.mjs';

/** Written by the build itself, for each package anew. */
const BUILT = new Set(['goldenFrames', 'quantization', 'calibration', 'conversion']);
const TRAINING_RUN = 'training run';

/**
 * @param {object} ask
 * @param {string} ask.standing folder of the FP32 package that ships now
 * @param {string | undefined} ask.file FP32 .onnx; the standing one when absent
 * @param {string} ask.version of the FP32 package when the network is new; an unchanged one keeps its own
 * @param {Record<string, string> | undefined} ask.provenance of the training
 * @param {Record<string, string | number>[] | undefined} ask.figures of the training
 */
export async function readNetwork({ standing, file, version, provenance, figures }) {
  const bytes = await readFile(file ?? join(standing, 'model.onnx'));
  const manifestFile = join(standing, 'manifest.yaml');
  const old = existsSync(manifestFile) ? parse(await readFile(manifestFile, 'utf8')) : undefined;
  const same = old?.model.sha256 === sha256(bytes);
  const said = provenance ?? (same ? trainingOnly(old.provenance) : undefined);
  if (said === undefined) {
    throw new Error(
      `${file ?? standing}: a new network; say in --provenance FILE.json how it was trained: ` +
        '{"detector": {"training": "...", "trainingData": "..."}, "classifier": {...}}',
    );
  }
  const kept = same ? (old.metrics ?? []).filter(({ source }) => source === TRAINING_RUN) : [];
  return {
    bytes,
    digest: sha256(bytes),
    version: same ? old.version : version,
    provenance: said,
    figures: figures?.map((figure) => ({ ...figure, source: TRAINING_RUN })) ?? kept,
    threshold: same ? old.thresholds.default : undefined,
    nmsIou: same ? old.nms.iou : undefined,
  };
}

/** `2.0.0` → `2.1.0` for step 1: the same network in another form. */
export function sibling(version, step) {
  const [major, minor, patch] = version.split('.').map(Number);
  return `${major}.${minor + step}.${patch}`;
}

function trainingOnly(provenance) {
  return Object.fromEntries(Object.entries(provenance).filter(([key]) => !BUILT.has(key)));
}
