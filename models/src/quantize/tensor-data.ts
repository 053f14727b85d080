import { DataType, int64ToNumber, type TensorProto } from './onnx-proto.js';
import { QuantizeError } from './quantize-error.js';

export function dimensionsOf(tensor: TensorProto): number[] {
  return tensor.dims.map((d) => int64ToNumber(d));
}

/** The values of a float32 tensor, row-major. Throws TENSOR_UNSUPPORTED for another type or for external data. */
export function floatValues(tensor: TensorProto): Float32Array {
  if (tensor.dataType !== DataType.float) {
    throw new QuantizeError(
      'TENSOR_UNSUPPORTED',
      `tensor "${tensor.name}" has ONNX data type ${tensor.dataType}; only float32 (1) weights can be quantized`,
    );
  }
  if (tensor.dataLocation === 1) {
    throw new QuantizeError(
      'TENSOR_UNSUPPORTED',
      `tensor "${tensor.name}" is stored outside the file; save the model with its weights inside`,
    );
  }
  const count = dimensionsOf(tensor).reduce((a, b) => a * b, 1);
  if (!tensor.rawData?.length) return checkCount(tensor, Float32Array.from(tensor.floatData ?? []), count);
  if (tensor.rawData.length !== 4 * count)
    return checkCount(tensor, new Float32Array(tensor.rawData.length >> 2), count);
  const view = new DataView(tensor.rawData.buffer, tensor.rawData.byteOffset, tensor.rawData.byteLength);
  // ONNX is little-endian whatever the machine is
  return Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
}

function checkCount(tensor: TensorProto, values: Float32Array, count: number): Float32Array {
  if (values.length === count) return values;
  throw new QuantizeError(
    'TENSOR_UNSUPPORTED',
    `tensor "${tensor.name}" says ${count} values and holds ${values.length}`,
  );
}

export function floatTensor(name: string, dims: number[], values: ArrayLike<number>): TensorProto {
  const raw = new Uint8Array(4 * values.length);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i], true);
  return { name, dims, dataType: DataType.float, rawData: raw };
}

export function int32Tensor(name: string, dims: number[], values: Int32Array): TensorProto {
  const raw = new Uint8Array(4 * values.length);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < values.length; i++) view.setInt32(4 * i, values[i], true);
  return { name, dims, dataType: DataType.int32, rawData: raw };
}

export function uint8Tensor(name: string, dims: number[], values: Uint8Array): TensorProto {
  return { name, dims, dataType: DataType.uint8, rawData: values };
}

export function int8Tensor(name: string, dims: number[], values: Int8Array): TensorProto {
  return {
    name,
    dims,
    dataType: DataType.int8,
    rawData: new Uint8Array(values.buffer, values.byteOffset, values.length),
  };
}

/** Integers beyond what int64 holds (a number may have lost digits) become its ends. */
export function int64Tensor(name: string, dims: number[], values: ArrayLike<number>): TensorProto {
  const raw = new Uint8Array(8 * values.length);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = BigInt(Math.trunc(values[i]));
    const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];
    view.setBigInt64(8 * i, value < least ? least : value > most ? most : value, true);
  }
  return { name, dims, dataType: DataType.int64, rawData: raw };
}

/**
 * The numbers of a small constant of any common type (float, double, int32, int64, bool, u8, s8), or undefined for
 * another type, data outside the file or a count that does not match. int64 beyond 2^53 loses its last digits.
 */
export function numbersOf(tensor: TensorProto): number[] | undefined {
  const count = dimensionsOf(tensor).reduce((a, b) => a * b, 1);
  const values = tensor.dataLocation === 1 ? undefined : readNumbers(tensor);
  return values?.length === count ? values : undefined;
}

function readNumbers(tensor: TensorProto): number[] | undefined {
  const raw = tensor.rawData;
  if (!raw?.length) {
    if (tensor.dataType === DataType.float) return [...(tensor.floatData ?? [])];
    if (tensor.dataType === DataType.int64) return (tensor.int64Data ?? []).map((v) => int64ToNumber(v));
    if ([DataType.int32, DataType.uint8, DataType.int8, DataType.bool].some((t) => t === tensor.dataType)) {
      return [...(tensor.int32Data ?? [])];
    }
    return undefined;
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const read = (size: number, at: (offset: number) => number): number[] =>
    Array.from({ length: Math.floor(raw.length / size) }, (_, i) => at(i * size));
  switch (tensor.dataType) {
    case DataType.float:
      return read(4, (o) => view.getFloat32(o, true));
    case DataType.double:
      return read(8, (o) => view.getFloat64(o, true));
    case DataType.int64:
      return read(8, (o) => Number(view.getBigInt64(o, true)));
    case DataType.int32:
      return read(4, (o) => view.getInt32(o, true));
    case DataType.uint8:
    case DataType.bool:
      return read(1, (o) => view.getUint8(o));
    case DataType.int8:
      return read(1, (o) => view.getInt8(o));
    default:
      return undefined;
  }
}
