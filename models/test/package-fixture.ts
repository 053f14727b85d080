import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const models = fileURLToPath(new URL('..', import.meta.url));

/** The FP32 person detector: from the zoo, or from the folder beside the repository while the zoo is not built. */
export const PERSON_MODEL = [
  join(models, 'zoo/person-detector-fp32/model.onnx'),
  join(models, '../../shared/training/person-v0.onnx'),
].find((path) => existsSync(path));

export const YARD_CLIP = join(models, 'media/yard.mp4');
export const YARD_TRUTH = join(models, 'media/yard.boxes.json');
export const YARD_STILLS = join(models, 'media/stills');

/** True when the files are there; prints why a test is skipped when not. */
export function available(...paths: (string | undefined)[]): boolean {
  const missing = paths.findIndex((path) => path === undefined || !existsSync(path));
  if (missing >= 0)
    console.warn(`skipped: ${paths[missing] ?? 'person-v0.onnx (zoo or ../shared/training)'} is missing`);
  return missing < 0;
}

const made: string[] = [];
afterAll(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** A temporary folder that goes away with the test file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vigie-models-test-'));
  made.push(folder);
  return folder;
}

/** Writes files into a new folder. */
export async function folderOf(files: Record<string, string | Buffer>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

export interface ManifestParts {
  sha256?: string;
  golden?: string;
  extra?: string;
}

/** A valid manifest of the person detector as text; `replace` changes lines, `extra` adds some. */
export function manifestText(parts: ManifestParts = {}, replace: [string, string][] = []): string {
  const { sha256 = 'a'.repeat(64), golden = '[]', extra = '' } = parts;
  let text = `name: person-detector
version: 1.0.0
task: detect
labels: labels.txt
license: Apache-2.0
model: { file: model.onnx, engine: onnx, precision: fp32, sha256: ${sha256} }
input: { name: image, width: 320, height: 320, layout: NCHW, color: RGB, dtype: float32, resize: stretch }
decoder: { type: anchor-free, strides: [8, 16, 32], outputs: { logits: logits, distances: distances } }
thresholds: { default: 0.4 }
nms: { iou: 0.6, perClass: true, maxDetections: 100 }
golden:
  - { file: golden/a.jpg, detections: ${golden}, tolerance: { score: 0.05, iou: 0.8 } }
${extra}`;
  for (const [from, to] of replace) {
    if (!text.includes(from)) throw new Error(`fixture: "${from}" is not in the manifest`);
    text = text.replace(from, to);
  }
  return text;
}

/** Files of a package that opens; the "model" is a few bytes unless given. */
export function packageFiles(
  model: Buffer = Buffer.from('model bytes'),
  parts: ManifestParts = {},
  replace: [string, string][] = [],
): Record<string, string | Buffer> {
  const sha256 = createHash('sha256').update(model).digest('hex');
  return {
    'manifest.yaml': manifestText({ sha256, ...parts }, replace),
    'model.onnx': model,
    'labels.txt': 'person\n',
    'golden/a.jpg': 'not looked at when opened',
  };
}

/** A folder with the real person detector. */
export async function personPackage(parts: ManifestParts = {}, replace: [string, string][] = []): Promise<string> {
  return folderOf(packageFiles(await readFile(PERSON_MODEL!), parts, replace));
}
