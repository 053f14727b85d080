import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeModel, encodeModel } from '@vigie/models/quantize/onnx-proto';

const FLOAT = 1;

/**
 * Copies an FP32 package under another version with the last bit of its weights turned here and there: it detects the same, and
 * no piece of its model file is one that a board has already. `every`: one weight in so many (well below a chunk's).
 */
export function makePackageVariant(source: string, target: string, version: string, every = 61): void {
  mkdirSync(target, { recursive: true });
  cpSync(source, target, { recursive: true });
  const manifestPath = join(target, 'manifest.yaml');
  const manifest = readFileSync(manifestPath, 'utf8');
  const modelPath = join(target, 'model.onnx');
  const model = decodeModel(readFileSync(modelPath));
  // The phase of the pattern comes from the version, so that two variants differ from each other too.
  let countdown = createHash('sha256').update(version).digest()[0] % every;
  for (const tensor of model.graph.initializer) {
    const raw = tensor.rawData;
    if (tensor.dataType !== FLOAT || raw === undefined) continue;
    const turned = Uint8Array.from(raw);
    for (let at = 0; at < turned.length; at += 4) {
      if (countdown === 0) turned[at] ^= 1;
      countdown = countdown === 0 ? every - 1 : countdown - 1;
    }
    tensor.rawData = turned;
  }
  const bytes = encodeModel(model);
  writeFileSync(modelPath, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(
    manifestPath,
    manifest.replace(/^version: .*$/m, `version: ${version}`).replace(/^( {2}sha256: ).*$/m, `$1${sha256}`),
  );
}
