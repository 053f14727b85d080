import { DataType, type GraphProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { evaluateStatically } from './static-evaluation.js';
import type { StaticTensor } from './static-values.js';
import { floatTensor, int32Tensor, int64Tensor } from './tensor-data.js';

/** Replaces every node whose result follows from constants and known shapes by an initializer. Returns how many. */
export function foldConstants(graph: GraphProto): number {
  const { values } = evaluateStatically(graph);
  const kept: NodeProto[] = [];
  const added: TensorProto[] = [];
  for (const node of graph.node) {
    const value = node.output.length === 1 && node.opType !== 'Constant' ? values.get(node.output[0]) : undefined;
    const tensor = value && tensorOf(node.output[0], value);
    if (tensor) added.push(tensor);
    else kept.push(node);
  }
  const results = new Set(graph.output.map((o) => o.name));
  // a constant that the caller reads stays a node: an initializer may not be a graph output in every runtime
  const foldable = added.filter((t) => !results.has(t.name ?? ''));
  const names = new Set(foldable.map((t) => t.name));
  graph.node = graph.node.filter((n) => kept.includes(n) || !names.has(n.output[0]));
  graph.initializer = [...(graph.initializer ?? []), ...foldable];
  return foldable.length;
}

function tensorOf(name: string, { dims, values, type }: StaticTensor): TensorProto | undefined {
  if (type === DataType.int64) return int64Tensor(name, dims, values);
  if (type === DataType.int32) return int32Tensor(name, dims, Int32Array.from(values));
  if (type === DataType.float) return floatTensor(name, dims, values);
  if (type === DataType.bool) return { name, dims, dataType: type, rawData: Uint8Array.from(values) };
  return undefined;
}
