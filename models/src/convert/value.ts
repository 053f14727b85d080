import { int64ToNumber, type TensorProto } from '../quantize/onnx-proto.js';
import { halfToFloat } from '../runtime/float16.js';
import { ConvertError } from './convert-error.js';

/** A tensor whose values are known when converting: weights, shapes, indices. Row-major, as ONNX has it. */
export interface Constant {
  kind: 'constant';
  dims: readonly number[];
  /** Float32Array for float tensors, Float64Array for integers and truth values. */
  values: Float32Array | Float64Array;
}

/**
 * A tensor that is calculated. `dims` are ONNX's; in TensorFlow.js it stands with its axes reordered: the j-th axis there
 * is ONNX's axis `order[j]`, e.g. [0, 2, 3, 1] for the result of a convolution (NHWC).
 */
export interface Activation {
  kind: 'activation';
  /** Node in the TensorFlow graph. */
  node: string;
  dims: readonly number[];
  order: readonly number[];
}

export type Value = Constant | Activation;

export const NHWC: readonly number[] = [0, 2, 3, 1];

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}

/** Axes as they are: 0, 1, 2, ... */
export function plainOrder(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis);
}

/** Sizes of the axes as they stand in TensorFlow.js. */
export function physicalDims({ dims, order }: Pick<Activation, 'dims' | 'order'>): number[] {
  return order.map((axis) => dims[axis]);
}

/** Integers as numbers: shapes, axes, indices. */
export function integersOf(constant: Constant): number[] {
  return [...constant.values];
}

/** Values with the axes reordered: axis j of the result is axis `order[j]` of `dims`. */
export function transposed<T extends Float32Array | Float64Array>(
  values: T,
  dims: readonly number[],
  order: readonly number[],
): T {
  const strides = dims.map((_, axis) => sizeOf(dims.slice(axis + 1)));
  const outDims = order.map((axis) => dims[axis]);
  const steps = order.map((axis) => strides[axis]);
  const out = values.slice() as T;
  const index = new Array<number>(dims.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from];
    for (let axis = outDims.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < outDims[axis]) break;
      from -= steps[axis] * outDims[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** What `TensorProto.DataType` says of the types that appear in networks: how a value is read from `raw_data`. */
const RAW: Readonly<Record<number, { bytes: number; read: (view: DataView, at: number) => number; float?: true }>> = {
  1: { bytes: 4, read: (view, at) => view.getFloat32(at, true), float: true },
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  3: { bytes: 1, read: (view, at) => view.getInt8(at) },
  6: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  7: { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  9: { bytes: 1, read: (view, at) => view.getUint8(at) },
  10: { bytes: 2, read: (view, at) => halfToFloat(view.getUint16(at, true)), float: true },
  11: { bytes: 8, read: (view, at) => view.getFloat64(at, true), float: true },
};

/** Reads a tensor of an ONNX file. Throws TENSOR_UNSUPPORTED. */
export function readConstant(tensor: TensorProto): Constant {
  const type = RAW[tensor.dataType];
  const fault = (problem: string) =>
    new ConvertError('TENSOR_UNSUPPORTED', `tensor "${tensor.name ?? ''}": ${problem}`);
  if (type === undefined) throw fault(`ONNX data type ${tensor.dataType} is not supported`);
  if (tensor.dataLocation === 1) throw fault('it is stored outside the file; save the model with its weights inside');
  const dims = tensor.dims.map((size) => int64ToNumber(size));
  const count = sizeOf(dims);
  let values: ArrayLike<number>;
  if (tensor.rawData?.length) {
    const { buffer, byteOffset, byteLength } = tensor.rawData;
    const view = new DataView(buffer, byteOffset, byteLength);
    if (byteLength !== count * type.bytes) throw fault(`[${dims.join(', ')}] does not fit ${byteLength} bytes`);
    const read = new Float64Array(count);
    for (let i = 0; i < count; i++) read[i] = type.read(view, i * type.bytes);
    values = read;
  } else if (tensor.dataType === 1) values = tensor.floatData ?? [];
  else if (tensor.dataType === 7) values = (tensor.int64Data ?? []).map((value) => int64ToNumber(value));
  else if (tensor.dataType === 10) values = (tensor.int32Data ?? []).map(halfToFloat);
  else values = tensor.int32Data ?? [];
  if (values.length !== count) throw fault(`[${dims.join(', ')}] does not fit ${values.length} values`);
  return { kind: 'constant', dims, values: type.float ? Float32Array.from(values) : Float64Array.from(values) };
}
