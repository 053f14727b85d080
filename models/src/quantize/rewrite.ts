import { type ActivationParameters, quantizeConvWeights } from './arithmetic.js';
import type { GraphIndex } from './graph-index.js';
import { AttributeType, DataType, type NodeProto, type TensorProto } from './onnx-proto.js';
import type { QuantizationPlan } from './plan.js';
import { dimensionsOf, floatTensor, floatValues, int8Tensor, int32Tensor, uint8Tensor } from './tensor-data.js';

export interface RewriteOptions {
  weightLimit: number;
  /** The graph input that becomes uint8, if any: its DequantizeLinear takes the place of a float preparation. */
  uint8Input: string | undefined;
}

/**
 * Turns the graph in `index` into QDQ form, in place: each planned tensor is followed by QuantizeLinear and
 * DequantizeLinear, each planned convolution reads s8 weights and an int32 bias through DequantizeLinear. ONNX Runtime
 * fuses such triples into QLinearConv and the like.
 */
export function rewriteToQdq(
  index: GraphIndex,
  plan: QuantizationPlan,
  parameters: Map<string, ActivationParameters>,
  options: RewriteOptions,
): void {
  const { graph } = index;
  const nodes: NodeProto[] = [];
  const added: TensorProto[] = [];
  const paramsOf = (name: string): ActivationParameters => parameters.get(plan.leader.get(name)!)!;
  const addParameters = (name: string): [string, string] => {
    const { scale, zeroPoint } = paramsOf(name);
    added.push(
      floatTensor(`${name}_scale`, [], [scale]),
      uint8Tensor(`${name}_zero_point`, [], Uint8Array.of(zeroPoint)),
    );
    return [`${name}_scale`, `${name}_zero_point`];
  };
  const dequantized = (name: string): string =>
    plan.tensors.has(name) && !index.outputs.has(name) ? `${name}_dequantized` : name;

  for (const name of index.inputs) {
    if (!plan.tensors.has(name)) continue;
    const [scale, zeroPoint] = addParameters(name);
    if (name === options.uint8Input) {
      graph.input.find((i) => i.name === name)!.type!.tensorType!.elemType = DataType.uint8;
      nodes.push(operation('DequantizeLinear', [name, scale, zeroPoint], `${name}_dequantized`));
    } else {
      nodes.push(operation('QuantizeLinear', [name, scale, zeroPoint], `${name}_quantized`));
      nodes.push(operation('DequantizeLinear', [`${name}_quantized`, scale, zeroPoint], `${name}_dequantized`));
    }
  }
  for (const node of graph.node) {
    const input = node.input.map(dequantized);
    if (plan.convolutions.has(node)) {
      const made = quantizeConvolution(index, node, paramsOf(node.input[0]).scale, options.weightLimit);
      nodes.push(...made.nodes);
      added.push(...made.initializers);
      input.splice(1, 2, ...made.inputs);
    }
    // a planned tensor that the caller reads keeps its name after its DequantizeLinear
    const rename = (name: string): string =>
      plan.tensors.has(name) && index.outputs.has(name) ? `${name}_float` : name;
    const originals = node.output;
    node.input = input;
    node.output = originals.map(rename);
    nodes.push(node);
    for (const name of originals) {
      if (!plan.tensors.has(name)) continue;
      const [scale, zeroPoint] = addParameters(name);
      nodes.push(operation('QuantizeLinear', [rename(name), scale, zeroPoint], `${name}_quantized`));
      nodes.push(operation('DequantizeLinear', [`${name}_quantized`, scale, zeroPoint], dequantized(name)));
    }
  }
  const used = new Set(nodes.flatMap((n) => n.input));
  graph.node = nodes;
  graph.initializer = [...graph.initializer.filter((t) => used.has(t.name ?? '')), ...added];
  graph.input = graph.input.filter((i) => index.inputs.includes(i.name));
  graph.valueInfo = [];
}

function quantizeConvolution(index: GraphIndex, node: NodeProto, inputScale: number, limit: number) {
  const weights = index.constants.get(node.input[1])!;
  const bias = node.input[2] ? index.constants.get(node.input[2]) : undefined;
  const dims = dimensionsOf(weights);
  const channels = dims[0];
  const made = quantizeConvWeights(floatValues(weights), channels, bias && floatValues(bias), inputScale, limit);
  // named after the result: two convolutions may share weights and still need scales of their own
  const w = `${node.output[0]}_weights`;
  const b = `${node.output[0]}_bias`;
  const biasScales = made.scales.map((scale) => inputScale * scale);
  return {
    inputs: [w, b],
    nodes: [
      operation('DequantizeLinear', [`${w}_quantized`, `${w}_scale`, `${w}_zero_point`], w, 0),
      operation('DequantizeLinear', [`${b}_quantized`, `${b}_scale`], b, 0),
    ],
    initializers: [
      int8Tensor(`${w}_quantized`, dims, made.values),
      floatTensor(`${w}_scale`, [channels], made.scales),
      int8Tensor(`${w}_zero_point`, [channels], new Int8Array(channels)),
      int32Tensor(`${b}_quantized`, [channels], made.bias),
      floatTensor(`${b}_scale`, [channels], biasScales),
    ],
  };
}

function operation(opType: string, input: string[], output: string, axis?: number): NodeProto {
  const attribute = axis === undefined ? [] : [{ name: 'axis', type: AttributeType.int, i: axis }];
  return { opType, name: output, input, output: [output], attribute };
}
