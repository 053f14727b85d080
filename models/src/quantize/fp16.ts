import { floatToHalf } from '../runtime/float16.js';
import { integerOf } from './attributes.js';
import { indexGraph } from './graph-index.js';
import { DataType, type ModelProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { countOf } from './static-values.js';
import { dimensionsOf, floatValues } from './tensor-data.js';

export interface HalfWeightsReport {
  /** Weight tensors stored as float16. */
  tensors: number;
  /** Tensors left as float32 because a value is beyond what float16 holds (65504). */
  tooLarge: string[];
}

const LARGEST_HALF = 65504;
/** Smaller ones save less than their Cast node costs in the file. */
const SMALLEST_TENSOR = 64;
const WITH_WEIGHTS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/**
 * Stores the weights of Conv, ConvTranspose, Gemm and MatMul as float16 with a Cast to float32 in front, in place: about
 * half the file. ONNX Runtime casts once when it loads the model, so speed and memory are those of FP32, on every
 * machine; results differ by the rounding of the weights (11 bits). Biases and all else stay float32.
 * @throws QuantizeError TENSOR_UNSUPPORTED for weights stored outside the file or damaged
 */
export function toHalfWeights(model: ModelProto): HalfWeightsReport {
  const { graph } = model;
  const { constants } = indexGraph(graph);
  const report: HalfWeightsReport = { tensors: 0, tooLarge: [] };
  const halves = new Map<string, TensorProto>();
  const casts: NodeProto[] = [];
  const names = new Set(
    graph.node.filter((n) => !n.domain && WITH_WEIGHTS.has(n.opType)).flatMap((n) => n.input.slice(0, 2)),
  );
  const initializers = new Set(graph.initializer);
  for (const name of names) {
    const tensor = constants.get(name);
    if (tensor?.dataType !== DataType.float || !initializers.has(tensor)) continue;
    if (countOf(dimensionsOf(tensor)) < SMALLEST_TENSOR) continue;
    const values = floatValues(tensor);
    if (!values.every((v) => Math.abs(v) <= LARGEST_HALF)) {
      report.tooLarge.push(name);
      continue;
    }
    const half = `${name}_fp16`;
    halves.set(name, halfTensor(half, dimensionsOf(tensor), values));
    casts.push({
      opType: 'Cast',
      name: `${name}_cast`,
      input: [half],
      output: [name],
      attribute: [integerOf('to', DataType.float)],
    });
  }
  graph.initializer = graph.initializer.map((t) => halves.get(t.name ?? '') ?? t);
  // before IR 4 an initializer is an input too; these are now results
  graph.input = graph.input.filter((i) => !halves.has(i.name));
  graph.node = [...casts, ...graph.node];
  report.tensors = halves.size;
  return report;
}

function halfTensor(name: string, dims: number[], values: Float32Array): TensorProto {
  const rawData = new Uint8Array(2 * values.length);
  const view = new DataView(rawData.buffer);
  values.forEach((value, i) => {
    view.setUint16(2 * i, floatToHalf(value), true);
  });
  return { name, dims, dataType: DataType.float16, rawData };
}
