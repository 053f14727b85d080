import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

// onnxruntime-node carries its binaries for every platform; an image needs those of its own.
const binaries = 'node_modules/onnxruntime-node/bin';
for (const napi of readdirSync(binaries)) {
  for (const platform of readdirSync(join(binaries, napi))) {
    for (const arch of readdirSync(join(binaries, napi, platform))) {
      if (platform === process.platform && arch === process.arch) continue;
      rmSync(join(binaries, napi, platform, arch), { recursive: true });
    }
  }
}
