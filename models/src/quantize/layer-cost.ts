import { indexGraph, nodeName } from './graph-index.js';
import type { GraphProto } from './onnx-proto.js';
import { evaluateStatically } from './static-evaluation.js';
import { countOf } from './static-values.js';
import { dimensionsOf } from './tensor-data.js';
import { hasConstantWeights } from './weighted-nodes.js';

/**
 * What each layer costs: its multiplications as a share, 0..1, of those of all layers with constant weights, by
 * `nodeName`. A layer whose output size does not follow from the model is left out, and then so are all: their sum is
 * not known.
 */
export function layerCosts(graph: GraphProto): Map<string, number> {
  const index = indexGraph(graph);
  const { shapes } = evaluateStatically(graph);
  const costs = new Map<string, number>();
  for (const node of graph.node) {
    if (!['Conv', 'Gemm', 'MatMul'].includes(node.opType) || !hasConstantWeights(index, node)) continue;
    const output = shapes.get(node.output[0]);
    if (!output || output.includes(-1)) return new Map();
    const weights = countOf(dimensionsOf(index.constants.get(node.input[1])!));
    // a Conv's channels stand second, a fully connected layer's last
    const channels = node.opType === 'Conv' ? output[1] : output[output.length - 1];
    costs.set(nodeName(node), weights * (countOf(output) / channels));
  }
  const total = [...costs.values()].reduce((a, b) => a + b, 0);
  return new Map([...costs].map(([name, cost]) => [name, cost / total]));
}
