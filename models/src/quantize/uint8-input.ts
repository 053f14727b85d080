import { type FoldedScaling, foldPixelScaling } from './fold-pixel-scaling.js';
import { indexGraph, pictureInput } from './graph-index.js';
import { decodeModel, encodeModel } from './onnx-proto.js';
import { prepareForQuantization } from './prepare.js';
import { QuantizeError } from './quantize-error.js';

/**
 * Makes a float model of scaled pixels into a float model of 0..255: then the picture's bytes are the INT8 model's input
 * whatever mean and std each channel has. Calibrate and quantize the result with mean 0 and std 1.
 * @param bytes an FP32 ONNX model with one input `[1, 3, H, W]`
 * @throws QuantizeError OPSET_UNSUPPORTED, INPUT_UNSUPPORTED, TENSOR_UNSUPPORTED
 */
export function withByteInput(bytes: Uint8Array, scaling: FoldedScaling): { bytes: Uint8Array; notes: string[] } {
  const { model, notes } = prepareForQuantization(decodeModel(bytes));
  const input = pictureInput(indexGraph(model.graph));
  if ('problem' in input) throw new QuantizeError('INPUT_UNSUPPORTED', input.problem);
  notes.push(foldPixelScaling(model.graph, input.name, scaling));
  return { bytes: encodeModel(model), notes };
}
