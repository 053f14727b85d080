import { MAX_LABELS_BYTES } from './limits.js';
import type { Manifest } from './manifest.js';
import { PackageError } from './package-error.js';

/**
 * Reads a labels file: one label a line, line n (from 0) is class id n. Trailing blank lines are ignored.
 * Throws LABELS_INVALID on a blank, overlong or repeated label.
 */
export function parseLabels(bytes: Uint8Array, file: string): string[] {
  const refuse = (problem: string): never => {
    throw new PackageError('LABELS_INVALID', `labels (${file}): ${problem}`);
  };
  if (bytes.byteLength > MAX_LABELS_BYTES) refuse(`${bytes.byteLength} bytes exceed ${MAX_LABELS_BYTES}`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('not UTF-8 text; save the file as UTF-8');
  }
  const labels = text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim());
  if (labels.length > 4096) refuse(`${labels.length} labels exceed 4096`);
  const seen = new Map<string, number>();
  for (const [index, label] of labels.entries()) {
    const line = index + 1;
    if (label === '') refuse(`line ${line} is empty; write one label a line`);
    if (label.length > 64) refuse(`line ${line}: ${label.length} characters exceed 64`);
    const earlier = seen.get(label);
    if (earlier !== undefined) refuse(`line ${line}: "${label}" stands on line ${earlier} already; labels must differ`);
    seen.set(label, line);
  }
  return labels;
}

/** Checks that every label the manifest names exists. Throws MANIFEST_INVALID. */
export function checkLabelReferences(manifest: Manifest, labels: readonly string[]): void {
  const check = (field: string, label: string): void => {
    if (labels.includes(label)) return;
    throw new PackageError(
      'MANIFEST_INVALID',
      `manifest.yaml: ${field}: "${label}" is not in ${manifest.labels}; known labels: ${labels.slice(0, 10).join(', ')}`,
    );
  };
  for (const label of Object.keys(manifest.thresholds.perClass ?? {})) check('thresholds.perClass', label);
  for (const [frame, golden] of manifest.golden.entries()) {
    for (const [index, detection] of golden.detections.entries()) {
      check(`golden[${frame}].detections[${index}].label`, detection.label);
    }
  }
}
