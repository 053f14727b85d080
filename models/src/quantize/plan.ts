import type { ActivationParameters, Range } from './arithmetic.js';
import { cutOff, rescaleFactor, toldApart, unbounded } from './constant-operands.js';
import { DisjointSets } from './disjoint-sets.js';
import { type GraphIndex, nodeName } from './graph-index.js';
import { DataType, type NodeProto } from './onnx-proto.js';
import { behaviourOf, FIXED_PARAMETERS } from './operators.js';
import { countOfWeights, hasConstantWeights, isExpectation, isReadOut, tensorsBeforeLayers } from './weighted-nodes.js';

/** Which tensors of a graph travel as 8-bit integers, and which layers compute in INT8. */
export interface QuantizationPlan {
  /** Tensors that get QuantizeLinear and DequantizeLinear. */
  tensors: Set<string>;
  /** Tensor → the tensor whose scale and zero point it shares (itself when it leads its group). */
  leader: Map<string, string>;
  /** Conv, Gemm and MatMul nodes whose weights become s8. */
  convolutions: Set<NodeProto>;
  /** Names of layers left in float, by `nodeName`. */
  floatConvolutions: string[];
  /** Leader → parameters that follow from the operator (Sigmoid: 0..1) and need no measurement. */
  fixed: Map<string, ActivationParameters>;
  /** Leader → the range that a fused Relu or Clip leaves, or that its readers can tell apart; its levels lie inside. */
  bounds: Map<string, Range>;
  /** Result of a Mul or Div by one positive constant → the same bytes with another scale. */
  rescaled: Map<string, { source: string; factor: number }>;
}

export interface PlanOptions {
  /** Nodes left in float, by `nodeName`. */
  exclude?: ReadonlySet<string>;
  /**
   * What calibration measured. A second plan with it has the same tensors, and lets Concat keep a scale per input where
   * a shared one would be coarse for some.
   */
  ranges?: ReadonlyMap<string, Range>;
}

/** A Concat input that fills less than this share of all inputs' range together keeps its own scale. */
const SHARED_SCALE_SHARE = 0.25;

/**
 * Chooses what to quantize, by the rules of `operators.ts`: every layer with constant weights; what lies between such
 * layers, as far as its inputs are 8-bit already. The tail behind the last layers (softmax, exp, boxes and scores put
 * together) stays float, and so does a small 1×1 convolution right before it.
 */
export function planQuantization(index: GraphIndex, options: PlanOptions = {}): QuantizationPlan {
  return new Planner(index, options).plan();
}

class Planner {
  private readonly tensors = new Set<string>();
  private readonly groups = new DisjointSets();
  private readonly layers = new Set<NodeProto>();
  private readonly floatLayers: string[] = [];
  private readonly fixed = new Map<string, ActivationParameters>();
  private readonly bounds = new Map<string, Range>();
  private readonly rescaled = new Map<string, { source: string; factor: number }>();
  /** Tensors from which a layer can be reached. */
  private readonly useful: Set<string>;

  constructor(
    private readonly index: GraphIndex,
    private readonly options: PlanOptions,
  ) {
    this.useful = tensorsBeforeLayers(index);
  }

  plan(): QuantizationPlan {
    const { index } = this;
    this.chooseLayers();
    this.reachBack();
    for (const node of index.graph.node) if (!this.isExcluded(node)) this.visit(node);
    const { tensors, groups } = this;
    const leader = new Map([...tensors].map((name) => [name, groups.find(name)]));
    const byLeader = <T>(map: Map<string, T>) => new Map([...map].map(([name, value]) => [groups.find(name), value]));
    return {
      tensors,
      leader,
      convolutions: this.layers,
      floatConvolutions: this.floatLayers,
      fixed: byLeader(this.fixed),
      bounds: byLeader(this.bounds),
      rescaled: this.rescaled,
    };
  }

  private isExcluded(node: NodeProto): boolean {
    return Boolean(node.domain && node.domain !== 'ai.onnx') || (this.options.exclude?.has(nodeName(node)) ?? false);
  }

  private chooseLayers(): void {
    const { index } = this;
    const layers = index.graph.node.filter((n) => behaviourOf(n.opType) === 'weighted' && !isExpectation(index, n));
    const weightsInAll = layers.reduce((sum, node) => sum + countOfWeights(index, node), 0);
    for (const node of layers) {
      const able = hasConstantWeights(index, node);
      if (able && !this.isExcluded(node) && !isReadOut(index, node, this.useful, weightsInAll)) this.layers.add(node);
      else if (able || node.opType === 'Conv') this.floatLayers.push(nodeName(node));
    }
  }

  /** A layer's input is 8-bit, and so is what only moves bytes on the way to it. */
  private reachBack(): void {
    for (const node of this.layers) this.tensors.add(node.input[0]);
    for (const node of this.index.graph.node.toReversed()) {
      if (this.isExcluded(node) || !this.isMover(node) || !node.output.some((name) => this.tensors.has(name))) continue;
      for (const name of this.dataInputs(node)) if (!this.index.constants.has(name)) this.tensors.add(name);
    }
  }

  private visit(node: NodeProto): void {
    const behaviour = behaviourOf(node.opType);
    if (this.layers.has(node)) {
      // the last fully connected layer gives float at once; ONNX Runtime has no such convolution
      if (node.opType === 'Conv' || this.useful.has(node.output[0])) this.addResult(node);
      return;
    }
    if (!behaviour || !this.useful.has(node.output[0])) return;
    if (this.isMover(node)) {
      this.visitMover(node);
    } else if (behaviour === 'combine' || node.opType === 'MatMul') {
      this.visitCombine(node);
    } else if (behaviour === 'fixed' && this.tensors.has(node.input[0])) {
      this.tensors.add(node.output[0]);
      this.fixed.set(node.output[0], FIXED_PARAMETERS[node.opType]);
    } else if (behaviour === 'transform' && this.tensors.has(node.input[0])) {
      this.addResult(node);
    } else if (behaviour === 'activation' && this.tensors.has(node.input[0])) {
      this.tensors.add(node.output[0]);
    }
  }

  private visitMover(node: NodeProto): void {
    const data = this.dataInputs(node);
    if (!data.every((name) => this.tensors.has(name))) return;
    for (const name of node.output.filter(Boolean)) this.tensors.add(name);
    if (node.opType === 'Concat' && !this.mayShareScale(data)) return;
    for (const name of data) for (const output of node.output.filter(Boolean)) this.groups.join(name, output);
  }

  private visitCombine(node: NodeProto): void {
    const { constants } = this.index;
    const factor = rescaleFactor(this.index, node);
    if (factor && this.tensors.has(factor.source) && !this.index.outputs.has(node.output[0])) {
      this.tensors.add(node.output[0]);
      this.rescaled.set(node.output[0], factor);
      return;
    }
    if (node.opType === 'Div') return;
    const usable = (name: string) => this.tensors.has(name) || constants.get(name)?.dataType === DataType.float;
    if (node.input.length === 2 && node.input.every(usable) && node.input.some((n) => this.tensors.has(n))) {
      this.addResult(node);
    }
  }

  /** The node's result, after the Relu or Clip that alone reads it: ONNX Runtime computes both as one. */
  private addResult(node: NodeProto): void {
    const output = node.output[0];
    const readers = this.index.consumers.get(output) ?? [];
    const range = readers.length === 1 && !this.index.outputs.has(output) ? cutOff(this.index, readers[0]) : undefined;
    if (!range) {
      this.tensors.add(output);
      const told = toldApart(this.index, output);
      if (told) this.bounds.set(output, told);
      return;
    }
    this.tensors.add(readers[0].output[0]);
    this.bounds.set(readers[0].output[0], range);
  }

  private isMover(node: NodeProto): boolean {
    const behaviour = behaviourOf(node.opType);
    if (behaviour !== 'move' && behaviour !== 'join') return false;
    if (node.opType === 'MaxPool') return node.output.filter(Boolean).length === 1;
    if (node.opType === 'Pad') return !node.input[2] || this.index.constants.has(node.input[2]);
    return true;
  }

  private dataInputs(node: NodeProto): string[] {
    return behaviourOf(node.opType) === 'join' ? node.input : [node.input[0]];
  }

  /** One scale for all is free of conversions, but must not cut off one input nor be much too coarse for another. */
  private mayShareScale(names: string[]): boolean {
    const kinds = names.map((name) => {
      const root = this.groups.find(name);
      const bounds = this.bounds.get(root) ?? this.bounds.get(name) ?? unbounded;
      if (this.fixed.has(root) || this.rescaled.has(root)) return root;
      return `${bounds.min} ${bounds.max}`;
    });
    if (new Set(kinds).size > 1) return false;
    const widths = names
      .map((name) => this.options.ranges?.get(name))
      .map((r) => r && Math.max(r.max, 0) - Math.min(r.min, 0));
    const widest = Math.max(...widths.map((w) => w ?? 0));
    return widths.every((w) => w === undefined || w >= SHARED_SCALE_SHARE * widest);
  }
}
