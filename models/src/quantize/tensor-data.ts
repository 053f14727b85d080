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
