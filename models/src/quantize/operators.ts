import type { ActivationParameters } from './arithmetic.js';

/**
 * What an operator does to numbers, and so what it needs to compute on bytes. ONNX Runtime 1.30's CPU provider has an
 * integer kernel, or lets bytes through, for each of these between DequantizeLinear and QuantizeLinear
 * (`core/optimizer/qdq_transformer/selectors_actions`, and counted in its optimised models by this package's tests).
 *
 * - `weighted`: multiplies by constant weights; the weights become s8 per channel, the result has its own scale
 * - `activation`: cuts off; part of the QuantizeLinear of the operator before it
 * - `move`: moves, picks or repeats numbers; result and input share one scale
 * - `join`: puts several tensors together; they share one scale where that costs nothing, else the result has its own
 * - `combine`: computes with several tensors; the result has its own scale
 * - `transform`: computes with one tensor; the result has its own scale
 * - `fixed`: the result's range is known beforehand
 */
export type Behaviour = 'weighted' | 'activation' | 'move' | 'join' | 'combine' | 'transform' | 'fixed';

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  Conv: 'weighted',
  Gemm: 'weighted',
  MatMul: 'weighted',
  Relu: 'activation',
  Clip: 'activation',
  Expand: 'move',
  Flatten: 'move',
  Gather: 'move',
  MaxPool: 'move',
  // written on the bytes themselves: ONNX Runtime does not fuse it
  Pad: 'move',
  Reshape: 'move',
  Resize: 'move',
  Slice: 'move',
  Split: 'move',
  Squeeze: 'move',
  Tile: 'move',
  Transpose: 'move',
  Unsqueeze: 'move',
  Concat: 'join',
  Add: 'combine',
  // by one positive number only: another scale for the same bytes
  Div: 'combine',
  Mul: 'combine',
  AveragePool: 'transform',
  GlobalAveragePool: 'transform',
  LeakyRelu: 'transform',
  // no integer kernel: computed in float between u8 tensors, in squeeze-and-excite blocks on a few hundred numbers
  HardSigmoid: 'fixed',
  Sigmoid: 'fixed',
  Softmax: 'fixed',
};

export function behaviourOf(opType: string): Behaviour | undefined {
  return Object.hasOwn(BEHAVIOURS, opType) ? BEHAVIOURS[opType] : undefined;
}

/** 0..1 in 256 levels; 1 itself becomes 255/256, as in ONNX Runtime's own quantizer and TensorFlow Lite. */
const UNIT: ActivationParameters = { scale: 1 / 256, zeroPoint: 0 };

export const FIXED_PARAMETERS: Readonly<Record<string, ActivationParameters>> = {
  HardSigmoid: { scale: Math.fround(1 / 255), zeroPoint: 0 },
  Sigmoid: UNIT,
  Softmax: UNIT,
};
