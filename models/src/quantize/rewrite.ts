import { type ActivationParameters, type ActivationType, quantizeConvWeights } from './arithmetic.js';
import { integerOf } from './attributes.js';
import { cutOff } from './constant-operands.js';
import type { GraphIndex } from './graph-index.js';
import { DataType, type NodeProto, type TensorProto } from './onnx-proto.js';
import type { QuantizationPlan } from './plan.js';
import { quantizeConstant, quantizeLevel } from './quantize-constant.js';
import { floatTensor, int8Tensor, int32Tensor, numbersOf, uint8Tensor } from './tensor-data.js';
import { layerWeights, transposed } from './weighted-nodes.js';

export interface RewriteOptions {
  weightLimit: number;
  /** The graph input that becomes uint8, if any: its DequantizeLinear takes the place of a float preparation. */
  uint8Input: string | undefined;
  /** `[1, H, W, 3]` bytes for that input instead of `[1, 3, H, W]`: as pictures lie in memory. Default NCHW. */
  inputLayout?: 'NCHW' | 'NHWC';
  /** Type of the tensors between layers; default uint8. */
  activationType?: ActivationType;
}

/**
 * Turns the graph in `index` into QDQ form, in place: each planned tensor is followed by QuantizeLinear and
 * DequantizeLinear, each planned layer reads s8 weights and an int32 bias through DequantizeLinear. ONNX Runtime
 * fuses such triples into QLinearConv and the like.
 * @param parameters leader → scale and zero point, from `resolveParameters`
 */
export function rewriteToQdq(
  index: GraphIndex,
  plan: QuantizationPlan,
  parameters: ReadonlyMap<string, ActivationParameters>,
  options: RewriteOptions,
): void {
  new Rewriter(index, plan, parameters, options).rewrite();
}

class Rewriter {
  private readonly nodes: NodeProto[] = [];
  private readonly added: TensorProto[] = [];
  private readonly signed: boolean;

  constructor(
    private readonly index: GraphIndex,
    private readonly plan: QuantizationPlan,
    private readonly parameters: ReadonlyMap<string, ActivationParameters>,
    private readonly options: RewriteOptions,
  ) {
    this.signed = options.activationType === 'int8';
  }

  rewrite(): void {
    const { graph, inputs } = this.index;
    for (const name of inputs) if (this.plan.tensors.has(name)) this.rewriteInput(name);
    for (const node of graph.node) this.rewriteNode(node);
    this.dropUnreadFloats();
    const used = new Set(this.nodes.flatMap((n) => n.input));
    graph.node = this.nodes;
    graph.initializer = [...graph.initializer.filter((t) => used.has(t.name ?? '')), ...this.added];
    graph.input = graph.input.filter((i) => inputs.includes(i.name));
    graph.valueInfo = [];
  }

  /** Where only bytes are read on, the DequantizeLinear beside them has no reader; ONNX Runtime would compute it. */
  private dropUnreadFloats(): void {
    const read = new Set([...this.nodes.flatMap((n) => n.input), ...this.index.outputs]);
    const kept = this.nodes.filter((n) => n.opType !== 'DequantizeLinear' || read.has(n.output[0]));
    this.nodes.splice(0, this.nodes.length, ...kept);
  }

  private paramsOf(name: string): ActivationParameters {
    return this.parameters.get(this.plan.leader.get(name)!)!;
  }

  private addParameters(name: string, key = name, signed = this.signed): [string, string] {
    const { scale, zeroPoint } = this.paramsOf(key);
    this.added.push(
      floatTensor(`${name}_scale`, [], [scale]),
      signed
        ? int8Tensor(`${name}_zero_point`, [], Int8Array.of(zeroPoint - 128))
        : uint8Tensor(`${name}_zero_point`, [], Uint8Array.of(zeroPoint)),
    );
    return [`${name}_scale`, `${name}_zero_point`];
  }

  /** The name under which a tensor's float form is read. */
  private dequantized(name: string): string {
    return this.plan.tensors.has(name) && !this.index.outputs.has(name) ? `${name}_dequantized` : name;
  }

  /** The name of a planned tensor's bytes. */
  private quantized(name: string): string {
    const rescaled = this.plan.rescaled.get(name);
    if (rescaled) return this.quantized(rescaled.source);
    return name === this.options.uint8Input && !this.signed ? this.bytesOf(name) : `${name}_quantized`;
  }

  /** The uint8 input in NCHW. */
  private bytesOf(name: string): string {
    return this.options.inputLayout === 'NHWC' ? `${name}_planes` : name;
  }

  /** A planned tensor that the caller reads keeps its name after its DequantizeLinear. */
  private produced(name: string): string {
    return this.plan.tensors.has(name) && this.index.outputs.has(name) ? `${name}_float` : name;
  }

  private rewriteInput(name: string): void {
    if (name !== this.options.uint8Input) {
      this.quantize(name, name);
      return;
    }
    const type = this.index.graph.input.find((i) => i.name === name)!.type!.tensorType!;
    type.elemType = DataType.uint8;
    if (this.options.inputLayout === 'NHWC') {
      const dim = type.shape!.dim;
      type.shape!.dim = [dim[0], dim[2], dim[3], dim[1]];
      const perm = { name: 'perm', type: 7, ints: [0, 3, 1, 2] };
      this.nodes.push({ ...operation('Transpose', [name], this.bytesOf(name)), attribute: [perm] });
    }
    if (!this.signed) {
      const [scale, zeroPoint] = this.addParameters(name);
      this.nodes.push(operation('DequantizeLinear', [this.bytesOf(name), scale, zeroPoint], `${name}_dequantized`));
      return;
    }
    // the same levels, less 128: one pass over the picture, exact
    const [scale, zeroPoint] = this.addParameters(`${name}_bytes`, name, false);
    this.nodes.push(operation('DequantizeLinear', [this.bytesOf(name), scale, zeroPoint], `${name}_real`));
    this.quantize(name, `${name}_real`);
  }

  private quantize(name: string, float: string): void {
    const [scale, zeroPoint] = this.addParameters(name);
    this.nodes.push(operation('QuantizeLinear', [float, scale, zeroPoint], `${name}_quantized`));
    this.nodes.push(operation('DequantizeLinear', [`${name}_quantized`, scale, zeroPoint], this.dequantized(name)));
  }

  private rewriteNode(node: NodeProto): void {
    const { plan } = this;
    if (plan.rescaled.has(node.output[0])) {
      const [name] = node.output;
      const [scale, zeroPoint] = this.addParameters(name);
      this.nodes.push(operation('DequantizeLinear', [this.quantized(name), scale, zeroPoint], this.dequantized(name)));
      return;
    }
    if (node.opType === 'Pad' && plan.tensors.has(node.output[0]) && plan.tensors.has(node.input[0])) {
      this.padBytes(node);
      return;
    }
    if (this.isSaturation(node)) {
      this.quantize(node.output[0], node.input[0]);
      return;
    }
    const input = node.input.map((name) => this.dequantized(name));
    if (plan.convolutions.has(node)) input.splice(1, 2, ...this.quantizeLayer(node));
    else if (this.givesBytes(node)) this.quantizeOperands(node, input);
    const originals = node.output;
    node.input = input;
    node.output = originals.map((name) => this.produced(name));
    this.nodes.push(node);
    for (const name of originals) if (plan.tensors.has(name)) this.quantize(name, this.produced(name));
  }

  /** Whether the node's result is planned, itself or behind the Relu or Clip that alone reads it. */
  private givesBytes(node: NodeProto): boolean {
    const [output] = node.output;
    const readers = this.index.consumers.get(output) ?? [];
    const fused = readers.length === 1 && cutOff(this.index, readers[0]) ? readers[0].output[0] : output;
    return this.plan.tensors.has(output) || this.plan.tensors.has(fused);
  }

  /** A Clip that does no more than the saturation of its own levels; ONNX Runtime would see that only sometimes. */
  private isSaturation(node: NodeProto): boolean {
    const [name] = node.output;
    if (node.opType !== 'Clip' || !this.plan.tensors.has(name) || this.plan.tensors.has(node.input[0])) return false;
    const bounds = cutOff(this.index, node);
    const { scale, zeroPoint } = this.paramsOf(name);
    const half = scale / 2;
    return (
      bounds !== undefined && -zeroPoint * scale >= bounds.min - half && (255 - zeroPoint) * scale <= bounds.max + half
    );
  }

  private padBytes(node: NodeProto): void {
    const [data, pads, value, ...rest] = node.input;
    const [name] = node.output;
    const real = value ? (numbersOf(this.index.constants.get(value)!)?.[0] ?? 0) : 0;
    const level = quantizeLevel(real, this.paramsOf(name));
    const fill = `${name}_fill`;
    this.added.push(
      this.signed ? int8Tensor(fill, [], Int8Array.of(level - 128)) : uint8Tensor(fill, [], Uint8Array.of(level)),
    );
    const [scale, zeroPoint] = this.addParameters(name);
    this.nodes.push({ ...node, input: [this.quantized(data), pads, fill, ...rest], output: [`${name}_quantized`] });
    this.nodes.push(operation('DequantizeLinear', [`${name}_quantized`, scale, zeroPoint], this.dequantized(name)));
  }

  /** A constant that an Add or Mul reads beside a planned tensor becomes 8-bit too. */
  private quantizeOperands(node: NodeProto, input: string[]): void {
    if (node.opType !== 'Add' && node.opType !== 'Mul') return;
    node.input.forEach((name, i) => {
      const constant = this.index.constants.get(name);
      if (!constant) return;
      const base = `${node.output[0]}_constant`;
      const made = quantizeConstant(base, constant, this.signed);
      this.added.push(...made);
      this.nodes.push(
        operation(
          'DequantizeLinear',
          made.map((t) => t.name ?? ''),
          base,
        ),
      );
      input[i] = base;
    });
  }

  private quantizeLayer(node: NodeProto): string[] {
    const { values, channels, bias, dims, axis } = layerWeights(this.index, node);
    const inputScale = this.paramsOf(node.input[0]).scale;
    const made = quantizeConvWeights(values, channels, bias, inputScale, this.options.weightLimit);
    const stored = axis === 0 ? made.values : transposed(made.values, dims[1], dims[0]);
    // named after the result: two convolutions may share weights and still need scales of their own
    const w = `${node.output[0]}_weights`;
    const b = `${node.output[0]}_bias`;
    this.nodes.push(operation('DequantizeLinear', [`${w}_quantized`, `${w}_scale`, `${w}_zero_point`], w, axis));
    this.added.push(
      int8Tensor(`${w}_quantized`, dims, stored),
      floatTensor(`${w}_scale`, [channels], made.scales),
      int8Tensor(`${w}_zero_point`, [channels], new Int8Array(channels)),
    );
    if (node.opType === 'MatMul') return [w];
    this.nodes.push(operation('DequantizeLinear', [`${b}_quantized`, `${b}_scale`], b, 0));
    this.added.push(
      int32Tensor(`${b}_quantized`, [channels], made.bias),
      floatTensor(
        `${b}_scale`,
        [channels],
        made.scales.map((scale) => inputScale * scale),
      ),
    );
    return [w, b];
  }
}

function operation(opType: string, input: string[], output: string, axis?: number): NodeProto {
  return {
    opType,
    name: output,
    input,
    output: [output],
    attribute: axis === undefined ? [] : [integerOf('axis', axis)],
  };
}
