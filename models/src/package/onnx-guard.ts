import { PackageError } from './package-error.js';

/** `TensorProto.data_location` and `external_data`, and where tensors stand; field numbers of `onnx/onnx.proto`. */
const TENSOR = { externalData: 13, dataLocation: 14 } as const;
type Kind = 'model' | 'graph' | 'node' | 'function' | 'attribute' | 'sparse' | 'training' | 'tensor';
const CHILDREN: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};
/** Graphs inside attributes of nodes inside graphs; real networks have two or three such levels. */
const MAX_DEPTH = 64;

/**
 * Refuses what ONNX Runtime would take although no package may hold it:
 * - weights in other files, which ONNX Runtime 1.30 reads relative to the *current folder* when the model comes from memory,
 *   `../` included (measured): a package could read its host's files;
 * - its own `.ort` format, whose contents it trusts.
 * Bytes that are no protobuf are left to ONNX Runtime, which refuses them. Linear in the number of fields; copies nothing.
 * Throws MODEL_EXTERNAL_DATA, MODEL_LOAD_FAILED.
 */
export function guardOnnx(bytes: Uint8Array, file: string): void {
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', 4, 8) === 'ORTM') {
    throw new PackageError(
      'MODEL_LOAD_FAILED',
      `${file}: an .ort file, which is not taken; pack the .onnx it was made of`,
    );
  }
  walk(bytes, 0, bytes.length, 'model', file, 0);
}

function walk(bytes: Uint8Array, start: number, end: number, kind: Kind, file: string, depth: number): void {
  if (depth > MAX_DEPTH) {
    throw new PackageError(
      'MODEL_LOAD_FAILED',
      `${file}: subgraphs nest deeper than ${MAX_DEPTH} levels; export the model again`,
    );
  }
  let at = start;
  /** A varint as a number (inexact beyond 2^53, which no length or field number here is); -1 when it is cut off. */
  const varint = (): number => {
    let value = 0;
    for (let factor = 1, count = 0; at < end && count < 10; factor *= 128, count++) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    return -1;
  };
  while (at < end) {
    // As the reference parser does it, so that both see the same fields: tags have 32 bits.
    const tag = varint() % 2 ** 32;
    if (tag < 0) return;
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) {
      const value = varint();
      if (kind === 'tensor' && field === TENSOR.dataLocation && value !== 0) throw external(file);
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (length < 0 || at + length > end) return;
      if (kind === 'tensor' && field === TENSOR.externalData) throw external(file);
      const child = CHILDREN[kind][field];
      if (child !== undefined) walk(bytes, at, at + length, child, file, depth + 1);
      at += length;
    } else {
      // Groups are no part of ONNX; the runtime's parser would step over one, and see what stands behind it.
      throw new PackageError(
        'MODEL_LOAD_FAILED',
        `${file}: no ONNX file (wire type ${wire} at byte ${at}); export the model again`,
      );
    }
  }
}

function external(file: string): PackageError {
  return new PackageError(
    'MODEL_EXTERNAL_DATA',
    `${file}: a tensor's data_location is EXTERNAL (weights in another file); save the model with its weights inside`,
  );
}
