import { existsSync, readdirSync, rmSync } from 'node:fs';
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

// TensorFlow.js carries each library in a dozen forms for browsers, and its tests: Node loads one file of each.
const tensorflow = 'node_modules/@tensorflow';
const kept = /^(package\.json|LICENSE.*|dist|.*\.node\.js|.*\.wasm)$/;
for (const library of existsSync(tensorflow) ? readdirSync(tensorflow) : []) {
  for (const folder of [join(tensorflow, library), join(tensorflow, library, 'dist')]) {
    for (const entry of readdirSync(folder)) {
      if (!kept.test(entry)) rmSync(join(folder, entry), { recursive: true });
    }
  }
}
