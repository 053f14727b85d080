import type { ConvertedGraph } from './convert-onnx.js';
import { type WeightFormat, writeWeights } from './weight-file.js';

/** Name of the one file of weights. */
export const SHARD_FILE = 'group1-shard1of1.bin';
export const MODEL_FILE = 'model.json';

/** The files of a TensorFlow.js graph model: `model.json` and its weights. The same graph gives the same bytes. */
export function tfjsModelFiles(graph: ConvertedGraph, format: WeightFormat): Map<string, Uint8Array> {
  const { bytes, entries } = writeWeights(graph.weights, format);
  const info = (node: string, dims: readonly number[]) => ({
    name: `${node}:0`,
    dtype: 'DT_FLOAT',
    tensorShape: { dim: dims.map((size) => ({ size: String(size) })) },
  });
  const { width, height, name } = graph.input;
  const model = {
    format: 'graph-model',
    generatedBy: 'vigie-models convert',
    convertedBy: 'vigie-models convert',
    signature: {
      inputs: { [name]: info(graph.inputNode, [1, height, width, 3]) },
      outputs: Object.fromEntries(graph.outputs.map((output) => [output.name, info(output.node, output.dims)])),
    },
    modelTopology: { node: graph.nodes, library: {}, versions: { producer: 1087 } },
    weightsManifest: [{ paths: [SHARD_FILE], weights: entries }],
  };
  return new Map([
    [MODEL_FILE, new Uint8Array(Buffer.from(JSON.stringify(model)))],
    [SHARD_FILE, bytes],
  ]);
}
