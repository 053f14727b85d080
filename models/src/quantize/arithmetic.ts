/** real = scale × (quantized − zeroPoint), quantized 0..255; s8 activations are the same numbers less 128. */
export interface ActivationParameters {
  scale: number;
  zeroPoint: number;
}

export interface Range {
  min: number;
  max: number;
}

/**
 * Largest |weight| per target. `portable` uses 7 bits: AVX2 without VNNI adds two u8 × s8 products in a saturating
 * 16-bit lane, and 2 × 255 × 64 = 32640 is the largest sum that fits; so every machine computes the same result.
 * `x64` uses all 8 bits and needs VNNI (or ARM, which never saturates) to be right. `arm64` uses all 8 bits too.
 */
export const WEIGHT_LIMIT = { portable: 64, x64: 127, arm64: 127 } as const;
export type QuantizeTarget = keyof typeof WEIGHT_LIMIT;

export type ActivationType = 'uint8' | 'int8';

/**
 * ONNX Runtime's x86 kernels multiply u8 × s8. Its ARM kernels for s8 × s8 need no correction of the zero point, and
 * before the dot product instructions (Raspberry Pi 4) take 16 products at a time where u8 takes 8.
 */
export const ACTIVATION_TYPE: Readonly<Record<QuantizeTarget, ActivationType>> = {
  portable: 'uint8',
  x64: 'uint8',
  arm64: 'int8',
};

/**
 * Rounds up to a float32 with 8 bits of mantissa. Calibration runs in float, whose last bits differ from one kind of
 * processor to another; coarse scales (at most 0.8 % wider) make the INT8 file the same on nearly all of them.
 */
export function coarseScale(scale: number): number {
  const exponent = Math.floor(Math.log2(scale));
  const step = 2 ** (exponent - 7);
  return Math.ceil(scale / step) * step;
}

/** Asymmetric u8 parameters that contain the range and represent 0 exactly (zero padding must stay zero). */
export function activationParameters(range: Range): ActivationParameters {
  const min = Math.min(range.min, 0);
  const max = Math.max(range.max, 0);
  if (!(max - min > 0) || !Number.isFinite(max - min)) return { scale: 1, zeroPoint: 0 };
  const scale = coarseScale((max - min) / 255);
  return { scale, zeroPoint: Math.min(255, Math.max(0, Math.round(-min / scale))) };
}

export interface QuantizedWeights {
  /** Same shape as the weights, −limit..limit. */
  values: Int8Array;
  /** One per output channel. */
  scales: Float32Array;
  /** One per output channel, in units of inputScale × scales[c]. */
  bias: Int32Array;
}

/**
 * Symmetric s8 per output channel (axis 0 of a Conv's weights `[out, in/group, kH, kW]`), and the bias as int32 in the
 * units of the convolution's accumulator. A channel whose weights are so small beside its bias that the bias would
 * overflow gets a larger scale. Rounds half to even, as ONNX's QuantizeLinear does.
 */
export function quantizeConvWeights(
  weights: Float32Array,
  channels: number,
  bias: Float32Array | undefined,
  inputScale: number,
  limit: number,
): QuantizedWeights {
  const perChannel = weights.length / channels;
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(channels);
  const biasValues = new Int32Array(channels);
  for (let c = 0; c < channels; c++) {
    let largest = 0;
    for (let i = c * perChannel; i < (c + 1) * perChannel; i++) largest = Math.max(largest, Math.abs(weights[i]));
    const fromBias = Math.abs(bias?.[c] ?? 0) / (inputScale * 2 ** 30);
    const scale = Math.fround(Math.max(largest / limit, fromBias, 1e-12));
    scales[c] = scale;
    for (let i = c * perChannel; i < (c + 1) * perChannel; i++) {
      values[i] = Math.max(-limit, Math.min(limit, roundHalfToEven(weights[i] / scale)));
    }
    biasValues[c] = roundHalfToEven((bias?.[c] ?? 0) / (inputScale * scale));
  }
  return { values, scales, bias: biasValues };
}

export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
