import type { TfjsWeight } from '../package/tfjs-files.js';
import { floatToHalf } from '../runtime/float16.js';
import type { Weight } from './graph-builder.js';

/** How weights are stored: as they are, or smaller and turned back into float32 when the model is loaded. */
export type WeightFormat = 'float32' | 'float16' | 'uint8';

/**
 * Weights as TensorFlow.js stores them: one after the other, little-endian. `float16` halves every float tensor; `uint8`
 * takes the kernels to one byte (affine per tensor, zero kept exact, as `quantization.py` of tensorflowjs does) and leaves
 * biases and other small tensors alone. The arithmetic stays float32 in each case.
 */
export function writeWeights(
  weights: readonly Weight[],
  format: WeightFormat,
): { bytes: Uint8Array; entries: TfjsWeight[] } {
  const entries: TfjsWeight[] = [];
  const parts: Uint8Array[] = [];
  for (const { name, dims, values } of weights) {
    if (!(values instanceof Float32Array)) {
      entries.push({ name, shape: dims, dtype: 'int32' });
      parts.push(littleEndian(values, (view, at, value) => view.setInt32(4 * at, value, true), 4));
    } else if (format === 'uint8' && dims.length >= 2) {
      const { min, scale, quantized } = affine(values);
      entries.push({
        name,
        shape: dims,
        dtype: 'float32',
        quantization: { min, scale, dtype: 'uint8', original_dtype: 'float32' },
      });
      parts.push(quantized);
    } else if (format === 'float16') {
      entries.push({
        name,
        shape: dims,
        dtype: 'float32',
        quantization: { dtype: 'float16', original_dtype: 'float32' },
      });
      parts.push(littleEndian(values, (view, at, value) => view.setUint16(2 * at, floatToHalf(value), true), 2));
    } else {
      entries.push({ name, shape: dims, dtype: 'float32' });
      parts.push(littleEndian(values, (view, at, value) => view.setFloat32(4 * at, value, true), 4));
    }
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), entries };
}

function littleEndian(
  values: ArrayLike<number>,
  set: (view: DataView, at: number, value: number) => void,
  bytes: number,
): Uint8Array {
  const out = new Uint8Array(values.length * bytes);
  const view = new DataView(out.buffer);
  for (let at = 0; at < values.length; at++) set(view, at, values[at]);
  return out;
}

function affine(values: Float32Array): { min: number; scale: number; quantized: Uint8Array } {
  let low = 0;
  let high = 0;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = high > low ? (high - low) / 255 : 1;
  const min = -Math.round(-low / scale) * scale || 0;
  const quantized = Uint8Array.from(values, (value) => Math.max(0, Math.min(255, Math.round((value - min) / scale))));
  return { min, scale, quantized };
}
