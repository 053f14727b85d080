import { type GraphIndex, integersAttribute, stringAttribute } from './graph-index.js';
import { DataType, type NodeProto } from './onnx-proto.js';
import { dimensionsOf } from './tensor-data.js';

/** Which tensors of a graph travel as u8, and which convolutions compute in INT8. */
export interface QuantizationPlan {
  /** Tensors that get QuantizeLinear and DequantizeLinear, in graph order. */
  tensors: Set<string>;
  /** Tensor → the tensor whose scale and zero point it shares (itself when it leads its group). */
  leader: Map<string, string>;
  convolutions: Set<NodeProto>;
  /** Names of convolutions left in float. */
  floatConvolutions: string[];
}

/** ONNX Runtime folds these into the quantization of their result, so nothing stands between them and their producer. */
const FUSED_ACTIVATIONS = new Set(['Relu', 'Clip']);

/**
 * Chooses what to quantize: Conv and two-sided Add everywhere; MaxPool, nearest Resize and Concat where their inputs are
 * u8 already (their inputs and output share one scale, so they only move bytes). A last 1×1 convolution, after which no
 * convolution follows, stays float: it is the head's read-out, costs next to nothing and sets the score's resolution.
 */
export function planQuantization(index: GraphIndex): QuantizationPlan {
  const tensors = new Set<string>();
  const groups = new DisjointSets();
  const convolutions = new Set<NodeProto>();
  const floatConvolutions: string[] = [];
  const beforeConvolution = tensorsBeforeConvolution(index);
  for (const node of index.graph.node) {
    const output = fusedOutput(index, node);
    if (node.opType === 'Conv') {
      if (isReadOut(index, node, beforeConvolution) || !hasConstantWeights(index, node)) {
        floatConvolutions.push(node.name ?? node.output[0]);
        continue;
      }
      convolutions.add(node);
      tensors.add(node.input[0]).add(output);
    } else if (node.opType === 'Add') {
      if (node.input.every((name) => tensors.has(name))) tensors.add(output);
    } else if (movesBytesOnly(node)) {
      const data = node.opType === 'Concat' ? node.input : [node.input[0]];
      if (!data.every((name) => tensors.has(name))) continue;
      tensors.add(node.output[0]);
      for (const name of data) groups.join(name, node.output[0]);
    }
  }
  const leader = new Map([...tensors].map((name) => [name, groups.find(name)]));
  return { tensors, leader, convolutions, floatConvolutions };
}

function movesBytesOnly(node: NodeProto): boolean {
  if (node.opType === 'MaxPool') return node.output.filter(Boolean).length === 1;
  if (node.opType === 'Resize') return (stringAttribute(node, 'mode') ?? 'nearest') === 'nearest';
  return node.opType === 'Concat';
}

/** The node's result after a fused activation, when that is the only reader. */
function fusedOutput(index: GraphIndex, node: NodeProto): string {
  const output = node.output[0];
  const readers = index.consumers.get(output) ?? [];
  const fused = readers.length === 1 && FUSED_ACTIVATIONS.has(readers[0].opType) && !index.outputs.has(output);
  return fused ? readers[0].output[0] : output;
}

function hasConstantWeights(index: GraphIndex, node: NodeProto): boolean {
  const weights = index.constants.get(node.input[1]);
  const bias = node.input[2] ? index.constants.get(node.input[2]) : undefined;
  if (weights?.dataType !== DataType.float || dimensionsOf(weights).length !== 4) return false;
  return !node.input[2] || bias?.dataType === DataType.float;
}

function isReadOut(index: GraphIndex, node: NodeProto, beforeConvolution: Set<string>): boolean {
  const kernel = integersAttribute(node, 'kernel_shape') ?? dimensionsOf(index.constants.get(node.input[1])!).slice(2);
  return kernel.every((k) => k === 1) && !beforeConvolution.has(node.output[0]);
}

/** Tensors from which some convolution can be reached. */
function tensorsBeforeConvolution(index: GraphIndex): Set<string> {
  const found = new Set<string>();
  for (const node of index.graph.node.toReversed()) {
    if (node.opType === 'Conv' || node.output.some((name) => found.has(name))) {
      for (const name of node.input) found.add(name);
    }
  }
  return found;
}

/** Union-find; the earliest name of a set leads it. */
class DisjointSets {
  private readonly parents = new Map<string, string>();

  find(name: string): string {
    let root = name;
    for (let up = this.parents.get(root); up !== undefined; up = this.parents.get(root)) root = up;
    return root;
  }

  join(first: string, second: string): void {
    const a = this.find(first);
    const b = this.find(second);
    if (a !== b) this.parents.set(b, a);
  }
}
