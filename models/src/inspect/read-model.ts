import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sha256Hex } from '../package/digest.js';
import { MANIFEST_FILE } from '../package/limits.js';
import type { OpenPackage } from '../package/package.js';
import { withPackage } from '../package/package-path.js';
import { InspectError } from './inspect-error.js';
import type { ModelFacts } from './model-facts.js';
import { onnxFacts } from './onnx-facts.js';
import { tfjsFacts } from './tfjs-facts.js';

/** Bytes of a model file that are read into memory. */
const MAX_MODEL_BYTES = 512 * 1024 * 1024;

export interface InspectedModel {
  facts: ModelFacts;
  /** Name of the model file, without folders. */
  file: string;
  /** The weights of a TensorFlow.js model included, as far as its list of them tells. */
  bytes: number;
  /** Of the model file itself. */
  sha256: string;
  /** The package around it, when that was what the path named. */
  package?: Pick<OpenPackage, 'manifest' | 'digest' | 'labels'>;
}

/**
 * Reads an ONNX file, a TensorFlow.js `model.json` (or the folder that holds one), a package folder or a `.vigie` file.
 * Throws InspectError, and PackageError for packages.
 */
export async function readModel(path: string): Promise<InspectedModel> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new InspectError('FILE_UNREADABLE', `${path} cannot be read (${error.code}); check the path`, {
      cause: error,
    });
  });
  if (info.isDirectory()) {
    if (await isFile(join(path, MANIFEST_FILE))) return readPackage(path);
    // By their usual names, or the only one there is.
    const names = (await readdir(path)).filter((name) => /\.(onnx|json)$/.test(name));
    const name = ['model.json', 'model.onnx'].find((usual) => names.includes(usual)) ?? names[0];
    if (names.length === 1 || name?.startsWith('model.')) return readModelFile(join(path, name));
    throw new InspectError(
      'FILE_UNREADABLE',
      `${path} holds no ${MANIFEST_FILE}, model.json or model.onnx, and ${names.length} other candidates; name the model file itself`,
    );
  }
  return path.endsWith('.vigie') ? readPackage(path) : readModelFile(path);
}

function readPackage(path: string): Promise<InspectedModel> {
  return withPackage(path, async (directory, { manifest, digest, labels }) => ({
    ...(await readModelFile(join(directory, manifest.model.file))),
    package: { manifest, digest, labels },
  }));
}

async function readModelFile(path: string): Promise<InspectedModel> {
  const file = basename(path);
  const { size } = await stat(path);
  if (size > MAX_MODEL_BYTES) {
    throw new InspectError(
      'FILE_TOO_LARGE',
      `${file} has ${size} bytes, ${MAX_MODEL_BYTES} are read at the most; no board runs a model of that size`,
    );
  }
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new InspectError('FILE_UNREADABLE', `${path} cannot be read (${error.code})`, { cause: error });
  });
  const sha256 = sha256Hex(bytes);
  if (!file.endsWith('.json')) return { facts: onnxFacts(bytes, file), file, bytes: bytes.length, sha256 };
  const { weightBytes, ...facts } = tfjsFacts(bytes, file);
  return { facts, file, bytes: bytes.length + weightBytes, sha256 };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}
