import type { Range } from './arithmetic.js';
import { floatAttribute } from './attributes.js';
import type { GraphIndex } from './graph-index.js';
import { DataType, type NodeProto } from './onnx-proto.js';
import { numbersOf } from './tensor-data.js';

export const unbounded: Readonly<Range> = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };

/** The range that a Relu or a Clip with constant bounds leaves; undefined for any other node. */
export function cutOff(index: GraphIndex, node: NodeProto): Range | undefined {
  if (node.domain) return undefined;
  if (node.opType === 'Relu') return { min: 0, max: Number.POSITIVE_INFINITY };
  if (node.opType !== 'Clip') return undefined;
  const min = node.input[1] ? scalarOf(index, node.input[1]) : (floatAttribute(node, 'min') ?? unbounded.min);
  const max = node.input[2] ? scalarOf(index, node.input[2]) : (floatAttribute(node, 'max') ?? unbounded.max);
  // levels always include 0; a Clip that cuts 0 off cannot be part of them
  return min !== undefined && max !== undefined && min <= 0 && max > 0 ? { min, max } : undefined;
}

/** For a Mul or Div by one positive number: what is multiplied, and by what. */
export function rescaleFactor(index: GraphIndex, node: NodeProto): { source: string; factor: number } | undefined {
  if (node.input.length !== 2 || (node.opType !== 'Mul' && node.opType !== 'Div')) return undefined;
  const slot = index.constants.has(node.input[1]) ? 1 : 0;
  const value = scalarOf(index, node.input[slot]);
  if (value === undefined || !(value > 0) || !Number.isFinite(value)) return undefined;
  if (node.opType === 'Div') return slot === 1 ? { source: node.input[0], factor: 1 / value } : undefined;
  return { source: node.input[1 - slot], factor: value };
}

/** The value of a constant float of one number and rank 0 or 1. */
function scalarOf(index: GraphIndex, name: string): number | undefined {
  const tensor = index.constants.get(name);
  if (tensor?.dataType !== DataType.float || tensor.dims.length > 1) return undefined;
  const values = numbersOf(tensor);
  return values?.length === 1 ? values[0] : undefined;
}

/** Below −6.24 sigmoid is less than half of its 1/256 levels: as bytes, SiLU is exactly 0 from here on. */
const SILU_FLOOR = -7;

/**
 * The part of a tensor's range that its readers can tell apart: x · sigmoid(x) (SiLU) is flat far below 0, and
 * x · clip(x + 3, 0, 6) (HardSwish) is 0 below −3. Levels spent below are lost to all values above.
 */
export function toldApart(index: GraphIndex, name: string): Range | undefined {
  const readers = index.consumers.get(name) ?? [];
  if (readers.length !== 2 || index.outputs.has(name)) return undefined;
  const product = readers.find((n) => n.opType === 'Mul');
  const gate = readers.find((n) => n !== product);
  if (!product || !gate) return undefined;
  const gated = product.input.find((n) => n !== name);
  if (gate.opType === 'Sigmoid') return gated === gate.output[0] ? { min: SILU_FLOOR, max: unbounded.max } : undefined;
  if (gate.opType !== 'Add' || !gate.input.some((n) => scalarOf(index, n) === 3)) return undefined;
  const [clip] = index.consumers.get(gate.output[0]) ?? [];
  const [scale] = index.consumers.get(clip?.output[0] ?? '') ?? [];
  const reaches = clip?.opType === 'Clip' && (gated === clip.output[0] || gated === scale?.output[0]);
  return reaches && cutOff(index, clip)?.min === 0 ? { min: -3, max: unbounded.max } : undefined;
}
