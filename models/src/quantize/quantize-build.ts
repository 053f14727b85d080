import {
  ACTIVATION_TYPE,
  type ActivationParameters,
  type QuantizeTarget,
  type Range,
  WEIGHT_LIMIT,
} from './arithmetic.js';
import type { InputConstants, TensorStatistics } from './calibrate.js';
import { type CalibrationChoice, chooseRange, describeChoice } from './calibrate-method.js';
import { type GraphIndex, indexGraph, nodeName } from './graph-index.js';
import { decodeModel, encodeModel, type NodeProto } from './onnx-proto.js';
import { resolveParameters } from './parameters.js';
import { planQuantization, type QuantizationPlan } from './plan.js';
import { QuantizeError } from './quantize-error.js';
import { rewriteToQdq } from './rewrite.js';
import { layerWeights } from './weighted-nodes.js';

/** How a picture's bytes 0..255 become the FP32 model's input: (byte − mean) / std per channel, in tensor order. */
export interface PixelScaling {
  mean: readonly number[];
  std: readonly number[];
}

/** An FP32 model and what calibration saw in it: all that any INT8 form of it is made from. */
export interface CalibratedModel {
  /** The prepared FP32 model: the tensors' names belong to it. */
  floatBytes: Uint8Array;
  inputName: string;
  /** Of the float input tensor. */
  dims: readonly number[];
  /** How bytes become the float input, where the INT8 model is to take them as they are; else its input stays float. */
  uint8Input: ActivationParameters | undefined;
  /** Of the inputs beside the picture. */
  constants: InputConstants;
  /** What `floatBytes` wants its pictures scaled by: none where the scaling was folded into it. */
  scaling: PixelScaling;
  statistics: ReadonlyMap<string, TensorStatistics>;
  /** Calibration pictures seen. */
  pictures: number;
  /** What was changed in the model before, one line each. */
  notes: readonly string[];
  /** Size of the file that was given. */
  bytesBefore: number;
}

/** The range of each tensor, and by what method they were chosen. */
export interface ChosenRanges {
  description: string;
  ranges: ReadonlyMap<string, Range>;
}

export interface BuildOptions {
  target: QuantizeTarget;
  ranges: ChosenRanges;
  /** Nodes left in float, by `nodeName`. */
  exclude?: ReadonlySet<string>;
  /** `NHWC`: the model takes bytes `[1, H, W, 3]`; only with a uint8 input. NCHW when absent. */
  inputLayout?: 'NCHW' | 'NHWC';
}

export interface QuantizeReport {
  target: QuantizeTarget;
  /** E.g. `percentile 99.99, headroom 1.3`. */
  calibration: string;
  pictures: number;
  /** `uint8` when the model takes the picture's bytes as they are, `float32` when they must be scaled before. */
  inputType: 'uint8' | 'float32';
  convolutions: number;
  /** Convolutions left in float, by node name. */
  floatConvolutions: string[];
  quantizedTensors: number;
  bytesBefore: number;
  bytesAfter: number;
  /** What was changed in the model before, one line each. */
  notes: string[];
}

/** A convolution that computes in INT8. */
export interface QuantizedLayer {
  name: string;
  input: string;
  /** Its u8 result: after the activation, where one is fused. */
  output: string;
  weights: Float32Array;
  /** Output channels: axis 0 of the weights. */
  channels: number;
  bias: Float32Array | undefined;
}

export interface BuiltModel {
  bytes: Uint8Array;
  report: QuantizeReport;
  /** In graph order. */
  layers: QuantizedLayer[];
  /** Of every tensor that travels as u8, in graph order. */
  parameters: Map<string, ActivationParameters>;
}

/** Chooses the ranges once for any number of models; entropy and MSE take some 10 ms per tensor. */
export function chooseRanges({ statistics }: CalibratedModel, choice: CalibrationChoice): ChosenRanges {
  const ranges = [...statistics].map(([tensor, seen]): [string, Range] => [tensor, chooseRange(seen, choice)]);
  return { description: describeChoice(choice), ranges: new Map(ranges) };
}

/**
 * Makes the INT8 model. Pure: the same calibrated model and options give the same bytes.
 * @throws QuantizeError NODE_UNKNOWN for a name in `exclude` that is no node's, NOTHING_TO_QUANTIZE
 */
export function buildInt8(calibrated: CalibratedModel, options: BuildOptions): BuiltModel {
  const { inputName, uint8Input } = calibrated;
  const model = decodeModel(calibrated.floatBytes);
  const index = indexGraph(model.graph);
  checkNames(index, options.exclude);
  const plan = planQuantization(index, { exclude: options.exclude, ranges: options.ranges.ranges });
  if (plan.convolutions.size === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      options.exclude?.size
        ? 'no convolution is left to quantize; exclude fewer nodes'
        : 'no convolution with constant float weights was found in this model',
    );
  }
  const layers = [...plan.convolutions].map((node) => describeLayer(index, plan, node));
  const given: [string, ActivationParameters][] = uint8Input ? [[inputName, uint8Input]] : [];
  const byLeader = resolveParameters(
    plan,
    groupRanges(plan, options.ranges.ranges, uint8Input && inputName),
    new Map(given),
  );
  rewriteToQdq(index, plan, byLeader, {
    weightLimit: WEIGHT_LIMIT[options.target],
    uint8Input: uint8Input ? inputName : undefined,
    activationType: ACTIVATION_TYPE[options.target],
    inputLayout: options.inputLayout,
  });
  model.producerName = 'vigie-models quantize';
  model.metadataProps = [
    ...(model.metadataProps ?? []).filter((p) => !p.key.startsWith('vigie.')),
    { key: 'vigie.quantize.target', value: options.target },
    { key: 'vigie.quantize.pictures', value: String(calibrated.pictures) },
  ];
  const bytes = encodeModel(model);
  return {
    bytes,
    layers,
    parameters: new Map([...plan.tensors].map((name) => [name, byLeader.get(plan.leader.get(name)!)!])),
    report: {
      target: options.target,
      calibration: options.ranges.description,
      pictures: calibrated.pictures,
      inputType: uint8Input ? 'uint8' : 'float32',
      convolutions: plan.convolutions.size,
      floatConvolutions: index.graph.node
        .filter((node) => node.opType === 'Conv' && !plan.convolutions.has(node))
        .map(nodeName),
      quantizedTensors: plan.tensors.size,
      bytesBefore: calibrated.bytesBefore,
      bytesAfter: bytes.length,
      notes: [...calibrated.notes],
    },
  };
}

function checkNames(index: GraphIndex, exclude: ReadonlySet<string> = new Set()): void {
  const known = new Set(index.graph.node.map(nodeName));
  for (const name of exclude) {
    if (known.has(name)) continue;
    const convolutions = index.graph.node.filter((node) => node.opType === 'Conv').map(nodeName);
    throw new QuantizeError(
      'NODE_UNKNOWN',
      `exclude: no node is called "${name}"; the convolutions are ${convolutions.slice(0, 8).join(', ')}` +
        `${convolutions.length > 8 ? `, ... (${convolutions.length}; the layer report names all)` : ''}`,
    );
  }
}

function describeLayer(index: GraphIndex, plan: QuantizationPlan, node: NodeProto): QuantizedLayer {
  const { values, channels, bias } = layerWeights(index, node);
  return {
    name: nodeName(node),
    input: node.input[0],
    output: quantizedResult(index, plan, node.output[0]),
    weights: values,
    channels,
    bias,
  };
}

/** The first planned tensor along the only readers of `tensor`: what the convolution's result is once it is u8. */
function quantizedResult(index: GraphIndex, plan: QuantizationPlan, tensor: string): string {
  for (let name = tensor, steps = 0; steps < 4; steps++) {
    if (plan.tensors.has(name)) return name;
    const readers = index.consumers.get(name) ?? [];
    if (readers.length !== 1) break;
    name = readers[0].output[0];
  }
  return tensor;
}

/** Tensors that share a scale need the range of all of them together. `given` needs none. */
function groupRanges(
  plan: QuantizationPlan,
  ranges: ReadonlyMap<string, Range>,
  given: string | undefined,
): Map<string, Range> {
  const grouped = new Map<string, Range>();
  for (const tensor of plan.tensors) {
    if (tensor === given) continue;
    const range = ranges.get(tensor);
    if (!range) throw new QuantizeError('CALIBRATION_FAILED', `tensor "${tensor}" was not measured in calibration`);
    const leader = plan.leader.get(tensor)!;
    const before = grouped.get(leader) ?? range;
    grouped.set(leader, { min: Math.min(before.min, range.min), max: Math.max(before.max, range.max) });
  }
  return grouped;
}
