import { distinctNames } from './class-names.js';
import { MAX_LABELS, MAX_LABELS_BYTES } from './limits.js';
import type { Manifest } from './manifest.js';
import { PackageError } from './package-error.js';

/**
 * Reads a labels file: one label a line, line n (from 0) is class id n. Trailing blank lines are ignored. For a classifier
 * lists of names are made labels first (`distinctNames`).
 * Throws LABELS_INVALID on a blank, overlong or repeated label.
 */
export function parseLabels(bytes: Uint8Array, file: string, task: Manifest['task'] = 'detect'): string[] {
  const refuse = (problem: string): never => {
    throw new PackageError('LABELS_INVALID', `labels (${file}): ${problem}`);
  };
  if (bytes.byteLength > MAX_LABELS_BYTES)
    refuse(`${bytes.byteLength} bytes exceed ${MAX_LABELS_BYTES}; give one short line per class`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('not UTF-8 text; save the file as UTF-8');
  }
  const lines = text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim());
  if (lines.length > MAX_LABELS)
    refuse(`${lines.length} labels exceed ${MAX_LABELS}; give one line per class of the model`);
  const labels = task === 'classify' ? distinctNames(lines) : lines;
  const seen = new Map<string, number>();
  for (const [index, label] of labels.entries()) {
    const line = index + 1;
    if (label === '') refuse(`line ${line} is empty; write one label a line`);
    if (label.length > 64) refuse(`line ${line}: ${label.length} characters exceed 64; shorten the label`);
    // Labels go to terminals, MQTT topics, pictures and pages: nothing in them may move a cursor or turn the text around.
    const control = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.exec(label)?.[0];
    if (control !== undefined) refuse(`line ${line}: holds the control character U+${hexOf(control)}; remove it`);
    const earlier = seen.get(label);
    if (earlier !== undefined) refuse(`line ${line}: "${label}" stands on line ${earlier} already; labels must differ`);
    seen.set(label, line);
  }
  return labels;
}

/** Checks that every label the manifest names exists. Throws MANIFEST_INVALID. */
export function checkLabelReferences(manifest: Manifest, labels: readonly string[]): void {
  const known = new Set(labels);
  const check = (field: string, label: string): void => {
    if (known.has(label)) return;
    throw new PackageError(
      'MANIFEST_INVALID',
      `manifest.yaml: ${field}: "${label.slice(0, 80)}" is not in ${manifest.labels}; known labels: ${labels.slice(0, 10).join(', ')}`,
    );
  };
  for (const label of Object.keys(manifest.thresholds.perClass ?? {})) check('thresholds.perClass', label);
  for (const [frame, golden] of manifest.golden.entries()) {
    for (const [index, detection] of golden.detections.entries()) {
      check(`golden[${frame}].detections[${index}].label`, detection.label);
    }
  }
}

/** The lowest score kept for a label, 0..1. A label may be called `constructor`: only the manifest's own keys count. */
export function thresholdOf({ thresholds }: Pick<Manifest, 'thresholds'>, label: string): number {
  const { perClass } = thresholds;
  return perClass !== undefined && Object.hasOwn(perClass, label) ? perClass[label] : thresholds.default;
}

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
}
