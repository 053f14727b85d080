import { indexGraph } from './graph-index.js';
import type { GraphProto, NodeProto } from './onnx-proto.js';

/**
 * Takes out Identity (and Dropout, which does nothing when a model runs) by giving its readers its input. One whose
 * result must keep its name stays. Returns how many went.
 */
export function removeIdentities(graph: GraphProto): number {
  const { outputs } = indexGraph(graph);
  const source = new Map<string, string>();
  const kept: NodeProto[] = [];
  for (const node of graph.node) {
    node.input = node.input.map((name) => source.get(name) ?? name);
    const passes = node.opType === 'Identity' || (node.opType === 'Dropout' && !node.input[2]);
    const plain = !node.domain && node.output.slice(1).every((name) => !name);
    if (passes && plain && !outputs.has(node.output[0])) source.set(node.output[0], node.input[0]);
    else kept.push(node);
  }
  graph.node = kept;
  return source.size;
}

/** Takes out nodes whose results nobody reads, and initializers that no node reads. Returns how many nodes went. */
export function removeUnused(graph: GraphProto): number {
  const { outputs } = indexGraph(graph);
  const read = new Set(outputs);
  const kept: NodeProto[] = [];
  for (const node of graph.node.toReversed()) {
    if (!node.output.some((name) => read.has(name))) continue;
    for (const name of node.input) read.add(name);
    kept.push(node);
  }
  const removed = graph.node.length - kept.length;
  graph.node = kept.reverse();
  graph.initializer = (graph.initializer ?? []).filter((t) => read.has(t.name ?? ''));
  return removed;
}
