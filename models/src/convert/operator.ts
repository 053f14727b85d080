import { AttributeType, int64ToNumber, type NodeProto } from '../quantize/onnx-proto.js';
import { ConvertError } from './convert-error.js';
import type { GraphBuilder } from './graph-builder.js';
import { type Activation, type Constant, integersOf, plainOrder, readConstant, type Value } from './value.js';

/** One node of the ONNX graph with what its converter needs. */
export interface Operator {
  readonly builder: GraphBuilder;
  readonly opset: number;
  readonly type: string;
  /** Base of the names of the nodes that it becomes. */
  readonly name: string;
  readonly outputs: readonly string[];
  /** Nodes that were found to be part of this one (BatchNormalization and activation behind a convolution). */
  readonly fused: readonly Operator[];
  /** Number of inputs, trailing absent ones left out. */
  readonly count: number;
  /** The value, or undefined when the input is absent. */
  input(index: number): Value | undefined;
  /** The value as a node of the graph; a constant becomes one. */
  activation(index: number): Activation;
  /** The value when it is known; throws OPERATOR_UNSUPPORTED when it is calculated, undefined when absent. */
  constant(index: number): Constant | undefined;
  integers(attribute: string): number[] | undefined;
  integer(attribute: string, absent: number): number;
  float(attribute: string, absent: number): number;
  text(attribute: string, absent: string): string;
  tensor(attribute: string): Constant | undefined;
  /** Integers that newer opsets take as input `index` and older ones as an attribute. */
  listOf(attribute: string, index: number): number[] | undefined;
  fail(problem: string): ConvertError;
}

/** Emits what an operator becomes; one value per output. */
export type Converter = (operator: Operator) => Value[];

/** Wraps a node; `values` are those known so far. */
export function operatorOf(
  node: NodeProto,
  opset: number,
  builder: GraphBuilder,
  values: ReadonlyMap<string, Value>,
  fused: readonly Operator[],
): Operator {
  const type = node.domain && node.domain !== 'ai.onnx' ? `${node.domain}.${node.opType}` : node.opType;
  const name = node.name || node.output[0] || type;
  const fail = (problem: string): ConvertError =>
    new ConvertError('OPERATOR_UNSUPPORTED', `node "${name}" (${type}): ${problem}`);
  const attributeOf = (attribute: string, kind: number) =>
    node.attribute?.find((candidate) => candidate.name === attribute && candidate.type === kind);
  const input = (index: number): Value | undefined => {
    const from = node.input[index];
    if (!from) return undefined;
    const value = values.get(from);
    if (value === undefined) throw fail(`its input "${from}" is made by no node`);
    return value;
  };
  const constant = (index: number): Constant | undefined => {
    const value = input(index);
    if (value?.kind === 'activation')
      throw fail(`input "${node.input[index]}" is calculated; only constants are supported`);
    return value;
  };
  const integers = (attribute: string): number[] | undefined =>
    attributeOf(attribute, AttributeType.ints)?.ints?.map((value) => int64ToNumber(value));
  return {
    builder,
    opset,
    type,
    name,
    outputs: node.output,
    fused,
    count: node.input.reduce((last, from, index) => (from ? index + 1 : last), 0),
    input,
    constant,
    activation: (index) => {
      const value = input(index);
      if (value === undefined) throw fail(`input ${index} is missing`);
      return value.kind === 'activation' ? value : constantNode(builder, value, name, fail);
    },
    integers,
    integer: (attribute, absent) => int64ToNumber(attributeOf(attribute, AttributeType.int)?.i, absent),
    float: (attribute, absent) => attributeOf(attribute, AttributeType.float)?.f ?? absent,
    text: (attribute, absent) => {
      const bytes = attributeOf(attribute, AttributeType.string)?.s;
      return bytes === undefined ? absent : Buffer.from(bytes).toString('utf8');
    },
    tensor: (attribute) => {
      const tensor = attributeOf(attribute, AttributeType.tensor)?.t;
      return tensor && readConstant(tensor);
    },
    listOf: (attribute, index) => {
      const list = integers(attribute);
      if (list !== undefined) return list;
      const value = constant(index);
      return value && integersOf(value);
    },
    fail,
  };
}

function constantNode(
  builder: GraphBuilder,
  { dims, values }: Constant,
  name: string,
  fail: (problem: string) => ConvertError,
): Activation {
  if (!(values instanceof Float32Array)) throw fail('a constant of integers stands where the network calculates');
  const node = builder.floats(values, dims, `${name}/constant`);
  return { kind: 'activation', node, dims, order: plainOrder(dims.length) };
}

/** An axis counted from the front. */
export function axisOf(operator: Operator, axis: number, rank: number): number {
  const counted = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(counted) && counted >= 0 && counted < rank) return counted;
  throw operator.fail(`axis ${axis} is none of a tensor with ${rank} axes`);
}
