import { integerAttribute, tensorAttribute } from './attributes.js';
import { DataType, type GraphProto, int64ToNumber, type NodeProto } from './onnx-proto.js';
import { SHAPE_RULES, type Shape } from './static-shapes.js';
import { countOf, MAX_STATIC_VALUES, normalizedAxis, STATIC_EVALUATORS, type StaticTensor } from './static-values.js';
import { dimensionsOf, numbersOf } from './tensor-data.js';

/** Networks have five or six dimensions at most; beyond this a shape is nonsense of a broken file. */
const MAX_RANK = 64;

/** What is known of a graph's tensors without running it. */
export interface StaticKnowledge {
  /** Shapes, -1 for an unknown size; a tensor of unknown rank is not listed. */
  shapes: Map<string, number[]>;
  /** Small constants, and what follows from them and from shapes. */
  values: Map<string, StaticTensor>;
}

/**
 * Follows shapes and shape arithmetic from the inputs' declared shapes through the graph, in any opset from 7 on.
 * Never throws: what it does not understand stays unknown.
 */
export function evaluateStatically(graph: GraphProto): StaticKnowledge {
  const known: StaticKnowledge = { shapes: new Map(), values: new Map() };
  for (const info of graph.input) {
    const shape = info.type?.tensorType?.shape;
    if (shape && shape.dim.length <= MAX_RANK) {
      known.shapes.set(
        info.name,
        // absent, zero and negative sizes are unknown ones
        shape.dim.map((d) => Math.max(-1, int64ToNumber(d.dimValue ?? undefined, -1)) || -1),
      );
    }
  }
  for (const tensor of graph.initializer ?? []) noteConstant(known, tensor.name ?? '', tensor);
  for (const node of graph.node) {
    const value = node.opType === 'Constant' ? tensorAttribute(node, 'value') : undefined;
    if (value) noteConstant(known, node.output[0], value);
    else evaluateNode(known, node);
  }
  return known;
}

function noteConstant(known: StaticKnowledge, name: string, tensor: Parameters<typeof numbersOf>[0]): void {
  const dims = dimensionsOf(tensor);
  if (dims.length > MAX_RANK) return;
  known.shapes.set(name, dims);
  if (!(countOf(dims) <= MAX_STATIC_VALUES)) return;
  const values = numbersOf(tensor);
  if (values) known.values.set(name, { dims, values, type: tensor.dataType });
}

function evaluateNode(known: StaticKnowledge, node: NodeProto): void {
  if (node.domain && node.domain !== 'ai.onnx') return;
  if (node.opType === 'Shape' || node.opType === 'Size') {
    noteShape(known, node);
    return;
  }
  const query = {
    shape: (slot: number): Shape | undefined => known.shapes.get(node.input[slot] ?? ''),
    values: (slot: number) => known.values.get(node.input[slot] ?? '')?.values,
  };
  const shapes = SHAPE_RULES.get(node.opType)?.(node, query) ?? [];
  node.output.forEach((name, i) => {
    const shape = shapes[i];
    // an axis out of range can make a rule's result as long as the axis says
    if (name && shape && shape.length <= MAX_RANK)
      known.shapes.set(
        name,
        shape.map((d) => (Number.isInteger(d) && d >= 0 ? d : -1)),
      );
  });
  const evaluate = Object.hasOwn(STATIC_EVALUATORS, node.opType) ? STATIC_EVALUATORS[node.opType] : undefined;
  const value = evaluate?.(
    node,
    node.input.map((name) => known.values.get(name)),
  );
  if (!value || value.values.length > MAX_STATIC_VALUES) return;
  // Reshape, Squeeze and Unsqueeze keep the numbers and take the inferred shape
  const shape = known.shapes.get(node.output[0]) ?? (value.values.length === 1 ? undefined : value.dims);
  const dims = shape && countOf(shape) === value.values.length ? shape : value.dims;
  if (countOf(dims) !== value.values.length) return;
  known.values.set(node.output[0], { ...value, dims });
  known.shapes.set(node.output[0], [...dims]);
}

function noteShape(known: StaticKnowledge, node: NodeProto): void {
  const shape = known.shapes.get(node.input[0]);
  if (!shape) return;
  const start = normalizedAxis(integerAttribute(node, 'start') ?? 0, shape.length);
  const end = normalizedAxis(integerAttribute(node, 'end') ?? shape.length, shape.length);
  const values = node.opType === 'Size' ? [countOf(shape)] : shape.slice(Math.max(0, start), Math.max(0, end));
  const dims = node.opType === 'Size' ? [] : [values.length];
  known.shapes.set(node.output[0], dims);
  if (!shape.includes(-1)) known.values.set(node.output[0], { dims, values, type: DataType.int64 });
}
