import { type ActivationParameters, roundHalfToEven } from './arithmetic.js';
import type { TensorProto } from './onnx-proto.js';
import { dimensionsOf, floatTensor, floatValues, int8Tensor, uint8Tensor } from './tensor-data.js';

/** The level 0..255 of a real number, cut off at the ends. */
export function quantizeLevel(real: number, { scale, zeroPoint }: ActivationParameters): number {
  const level = roundHalfToEven(real / scale) + zeroPoint;
  return Number.isNaN(level) ? zeroPoint : Math.min(255, Math.max(0, level));
}

/** A float constant as levels, scale and zero point: what its DequantizeLinear reads, in this order. */
export function quantizeConstant(base: string, constant: TensorProto, signed: boolean): TensorProto[] {
  const values = floatValues(constant);
  let [min, max] = [0, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  // a constant is the same on every machine: its levels may meet its ends exactly
  const scale = max > min ? Math.fround((max - min) / 255) : 1;
  const zeroPoint = Math.min(255, Math.max(0, Math.round(-min / scale)));
  const levels = Uint8Array.from(values, (value) => quantizeLevel(value, { scale, zeroPoint }));
  const dims = dimensionsOf(constant);
  const [data, zero] = [`${base}_quantized`, `${base}_zero_point`];
  return signed
    ? [
        int8Tensor(
          data,
          dims,
          Int8Array.from(levels, (level) => level - 128),
        ),
        floatTensor(`${base}_scale`, [], [scale]),
        int8Tensor(zero, [], Int8Array.of(zeroPoint - 128)),
      ]
    : [
        uint8Tensor(data, dims, levels),
        floatTensor(`${base}_scale`, [], [scale]),
        uint8Tensor(zero, [], Uint8Array.of(zeroPoint)),
      ];
}
