import { posix } from 'node:path';
import type { PackageFile } from './digest.js';
import { PackageError } from './package-error.js';

/**
 * The two files formats of TensorFlow.js: `model.json` (topology and a list of weights) and the binary shards it names.
 * Source: `io/types.ts` of tfjs-core 4.22 (`ModelJSON`, `WeightsManifestConfig`).
 */

/** Bytes of a `model.json`; the largest public ones take some 3 MB. */
export const MAX_TFJS_MODEL_BYTES = 16 * 1024 * 1024;

/** One tensor among the weights. */
export interface TfjsWeight {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { dtype: string; min?: number; scale?: number; original_dtype?: string };
}

export interface TfjsWeightGroup {
  /** Paths inside the package, in the order in which their bytes follow one another. */
  paths: string[];
  weights: TfjsWeight[];
}

export interface TfjsModelFile {
  kind: 'graph' | 'layers';
  groups: TfjsWeightGroup[];
  /** The whole document, as TensorFlow.js wants it. */
  document: Record<string, unknown>;
}

const BYTES_PER_VALUE: Readonly<Record<string, number>> = {
  float32: 4,
  float16: 2,
  int32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
  complex64: 8,
};

/**
 * Reads a `model.json` that stands at `path` in its package. Nothing outside the package can be named: shards are plain
 * relative paths. Throws MODEL_LOAD_FAILED, TOO_LARGE, PATH_UNSAFE.
 */
export function parseTfjsModel(bytes: Uint8Array, path: string): TfjsModelFile {
  if (bytes.length > MAX_TFJS_MODEL_BYTES) {
    throw new PackageError('TOO_LARGE', `${path}: ${bytes.length} bytes exceed ${MAX_TFJS_MODEL_BYTES}`);
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch (cause) {
    throw fault(path, 'it is not JSON', cause);
  }
  if (!isObject(document) || !isObject(document.modelTopology)) throw fault(path, 'it holds no modelTopology');
  const kind = Array.isArray(document.modelTopology.node) ? 'graph' : 'layers';
  const manifest = document.weightsManifest ?? [];
  if (!Array.isArray(manifest)) throw fault(path, 'weightsManifest is not a list');
  const groups = manifest.map((group: unknown, index): TfjsWeightGroup => {
    const field = `weightsManifest[${index}]`;
    if (!isObject(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights)) {
      throw fault(path, `${field} has no paths and weights`);
    }
    return {
      paths: group.paths.map((shard: unknown) => shardPath(path, field, shard)),
      weights: group.weights.map((weight: unknown, at) => weightOf(path, `${field}.weights[${at}]`, weight)),
    };
  });
  return { kind, groups, document };
}

/** Bytes that a group's shards must hold together; undefined when texts, whose length only the bytes tell, are among them. */
export function groupBytes(group: TfjsWeightGroup): number | undefined {
  let bytes = 0;
  for (const { shape, dtype, quantization } of group.weights) {
    if (dtype === 'string') return undefined;
    bytes += shape.reduce((a, b) => a * b, 1) * BYTES_PER_VALUE[quantization?.dtype ?? dtype];
  }
  return bytes;
}

/** Every shard must be a file of the package, and each group as long as its tensors. Throws FILE_MISSING, MODEL_LOAD_FAILED. */
export function checkTfjsShards(model: TfjsModelFile, path: string, files: ReadonlyMap<string, PackageFile>): void {
  for (const [index, group] of model.groups.entries()) {
    let found = 0;
    for (const shard of group.paths) {
      const file = files.get(shard);
      if (file === undefined) {
        throw new PackageError(
          'FILE_MISSING',
          `${path}: weightsManifest[${index}]: "${shard}" is not in the package; add the weight file`,
        );
      }
      found += file.size;
    }
    const declared = groupBytes(group) ?? found;
    if (found !== declared) {
      throw fault(
        path,
        `weightsManifest[${index}] declares ${declared} bytes, ${group.paths.join(', ')} hold ${found}`,
      );
    }
  }
}

function shardPath(modelPath: string, field: string, shard: unknown): string {
  if (typeof shard === 'string' && /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/.test(shard)) {
    const path = posix.join(posix.dirname(modelPath), shard);
    if (!shard.split('/').some((segment) => segment === '.' || segment === '..')) return path;
  }
  throw new PackageError(
    'PATH_UNSAFE',
    `${modelPath}: ${field}.paths: ${JSON.stringify(shard)?.slice(0, 200)} is not a file beside the model; name a relative path in the package`,
  );
}

function weightOf(path: string, field: string, value: unknown): TfjsWeight {
  if (!isObject(value) || typeof value.name !== 'string') throw fault(path, `${field} has no name`);
  const { name, shape, dtype, quantization } = value;
  const known = typeof dtype === 'string' && (dtype === 'string' || Object.hasOwn(BYTES_PER_VALUE, dtype));
  if (!known) throw fault(path, `${field} (${name.slice(0, 100)}): dtype ${JSON.stringify(dtype)} is not known`);
  const dims = Array.isArray(shape) ? shape : [-1];
  const size = dims.reduce(
    (a: number, b: unknown) => (Number.isInteger(b) && (b as number) >= 0 ? a * (b as number) : -1),
    1,
  );
  if (!(size >= 0 && size <= 2 ** 31)) {
    throw fault(path, `${field} (${name.slice(0, 100)}): shape ${JSON.stringify(shape)?.slice(0, 100)} is not one`);
  }
  if (quantization === undefined) return { name, shape: dims as number[], dtype };
  if (!isObject(quantization) || !['uint8', 'uint16', 'float16'].includes(String(quantization.dtype))) {
    throw fault(path, `${field} (${name.slice(0, 100)}): quantization must be uint8, uint16 or float16`);
  }
  return { name, shape: dims as number[], dtype, quantization: quantization as unknown as TfjsWeight['quantization'] };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(path: string, problem: string, cause?: unknown): PackageError {
  return new PackageError(
    'MODEL_LOAD_FAILED',
    `${path} is no complete TensorFlow.js model: ${problem}; convert or download the model again`,
    { cause },
  );
}
