import { integersAttribute, integersOf, setAttribute, stringAttribute } from './attributes.js';
import { type GraphIndex, indexGraph } from './graph-index.js';
import { DataType, type GraphProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { dimensionsOf, floatTensor, floatValues, int64Tensor } from './tensor-data.js';

/** How bytes became the model's input: (byte − mean[c]) / std[c], channels in the order of the model's input tensor. */
export interface FoldedScaling {
  mean: readonly number[];
  std: readonly number[];
  /** Whether the new input has red and blue the other way round than the old one. */
  swapRedBlue?: boolean;
}

const CHANNELS = 3;

/**
 * Changes a float model that takes scaled pixels `[1, 3, H, W]` into one that takes 0..255, in place.
 *
 * Where one Conv alone reads the input, its weights and bias take the scaling over (in double precision). Its zero
 * padding meant the mean colour, so it becomes a Pad per channel with that channel's mean: exact at the border too (as
 * bytes, to half a level). Otherwise Sub and Mul at the front do it in float, on any graph.
 * @param model opset 13 or newer, as `prepareForQuantization` leaves it
 * @returns one line for the report
 */
export function foldPixelScaling(graph: GraphProto, inputName: string, scaling: FoldedScaling): string {
  const index = indexGraph(graph);
  const readers = index.consumers.get(inputName) ?? [];
  const conv = readers.length === 1 && !index.outputs.has(inputName) ? readers[0] : undefined;
  const weights = conv?.opType === 'Conv' && !conv.domain ? firstWeights(index, conv, inputName) : undefined;
  if (conv && weights) {
    foldIntoConvolution(graph, conv, weights, inputName, scaling);
    return `scaling of "${inputName}" folded into the first convolution`;
  }
  scaleInFront(graph, inputName, scaling);
  return `scaling of "${inputName}" computed in float inside the model (no single convolution reads the input)`;
}

interface FirstWeights {
  weights: Float32Array;
  dims: number[];
  bias: Float32Array | undefined;
  pads: number[];
}

function firstWeights(index: GraphIndex, conv: NodeProto, inputName: string): FirstWeights | undefined {
  const weights = floatConstant(index, conv.input[1]);
  const bias = conv.input[2] ? floatConstant(index, conv.input[2]) : undefined;
  if (!weights || (conv.input[2] && !bias) || conv.input[0] !== inputName) return undefined;
  const dims = dimensionsOf(weights);
  const pads = integersAttribute(conv, 'pads') ?? [0, 0, 0, 0];
  const auto = stringAttribute(conv, 'auto_pad') ?? 'NOTSET';
  // a grouped first layer, or padding that the runtime works out: the general way
  if (dims.length !== 4 || dims[1] !== CHANNELS || pads.length !== 4 || auto.startsWith('SAME')) return undefined;
  return {
    weights: floatValues(weights),
    dims,
    bias: bias && floatValues(bias),
    pads: auto === 'VALID' ? [0, 0, 0, 0] : pads,
  };
}

function floatConstant(index: GraphIndex, name: string): TensorProto | undefined {
  const tensor = index.constants.get(name);
  return tensor?.dataType === DataType.float && tensor.dataLocation !== 1 ? tensor : undefined;
}

/** Channel of the old input that channel `c` of the new one is. */
function oldChannel(c: number, { swapRedBlue }: FoldedScaling): number {
  return swapRedBlue ? CHANNELS - 1 - c : c;
}

function foldIntoConvolution(
  graph: GraphProto,
  conv: NodeProto,
  { weights, dims, bias, pads }: FirstWeights,
  inputName: string,
  scaling: FoldedScaling,
): void {
  const { mean, std } = scaling;
  const kernel = dims[2] * dims[3];
  const folded = new Float32Array(weights.length);
  const biases = Float64Array.from({ length: dims[0] }, (_, o) => bias?.[o] ?? 0);
  for (let o = 0; o < dims[0]; o++) {
    for (let c = 0; c < CHANNELS; c++) {
      const old = oldChannel(c, scaling);
      for (let k = 0; k < kernel; k++) {
        const weight = weights[(o * CHANNELS + old) * kernel + k] / std[old];
        folded[(o * CHANNELS + c) * kernel + k] = weight;
        biases[o] -= weight * mean[old];
      }
    }
  }
  const base = conv.output[0];
  graph.initializer.push(
    floatTensor(`${base}_scaled_weights`, dims, folded),
    floatTensor(`${base}_scaled_bias`, [dims[0]], Float32Array.from(biases)),
  );
  const padded = pads.some((p) => p !== 0) && mean.some((m) => m !== 0);
  const first = padded ? padChannels(graph, inputName, pads, scaling) : { nodes: [], output: inputName };
  conv.input = [first.output, `${base}_scaled_weights`, `${base}_scaled_bias`];
  if (padded) setAttribute(conv, integersOf('pads', [0, 0, 0, 0]));
  insertBefore(graph, conv, first.nodes);
}

/** Split, a Pad with its own colour for each channel, Concat; with one mean for all, one Pad. */
function padChannels(
  graph: GraphProto,
  inputName: string,
  [top, left, bottom, right]: number[],
  scaling: FoldedScaling,
): { nodes: NodeProto[]; output: string } {
  const name = (role: string) => `${inputName}_${role}`;
  const means = [0, 1, 2].map((c) => scaling.mean[oldChannel(c, scaling)]);
  const output = name('padded');
  graph.initializer.push(int64Tensor(name('pads'), [8], [0, 0, top, left, 0, 0, bottom, right]));
  const pad = (input: string, mean: number, result: string): NodeProto => {
    graph.initializer.push(floatTensor(`${result}_mean`, [], [mean]));
    return operation('Pad', [input, name('pads'), `${result}_mean`], [result]);
  };
  if (means.every((m) => m === means[0])) return { nodes: [pad(inputName, means[0], output)], output };
  const channels = means.map((_, c) => name(`channel_${c}`));
  const parts = channels.map((channel) => `${channel}_padded`);
  const axis = { name: 'axis', type: 2, i: 1 };
  graph.initializer.push(int64Tensor(name('split'), [CHANNELS], [1, 1, 1]));
  return {
    nodes: [
      { ...operation('Split', [inputName, name('split')], channels), attribute: [axis] },
      ...means.map((mean, c) => pad(channels[c], mean, parts[c])),
      { ...operation('Concat', parts, [output]), attribute: [axis] },
    ],
    output,
  };
}

function scaleInFront(graph: GraphProto, inputName: string, scaling: FoldedScaling): void {
  const name = (role: string) => `${inputName}_${role}`;
  const nodes: NodeProto[] = [];
  let last = inputName;
  if (scaling.swapRedBlue) {
    graph.initializer.push(int64Tensor(name('order'), [CHANNELS], [2, 1, 0]));
    nodes.push({
      ...operation('Gather', [last, name('order')], [name('swapped')]),
      attribute: [{ name: 'axis', type: 2, i: 1 }],
    });
    last = name('swapped');
  }
  graph.initializer.push(
    floatTensor(name('mean'), [1, CHANNELS, 1, 1], [...scaling.mean]),
    floatTensor(
      name('factor'),
      [1, CHANNELS, 1, 1],
      scaling.std.map((s) => 1 / s),
    ),
  );
  nodes.push(operation('Sub', [last, name('mean')], [name('centred')]));
  nodes.push(operation('Mul', [name('centred'), name('factor')], [name('scaled')]));
  for (const node of graph.node) node.input = node.input.map((n) => (n === inputName ? name('scaled') : n));
  graph.node = [...nodes, ...graph.node];
}

function insertBefore(graph: GraphProto, node: NodeProto, nodes: NodeProto[]): void {
  const at = graph.node.indexOf(node);
  graph.node = [...graph.node.slice(0, at), ...nodes, ...graph.node.slice(at)];
}

function operation(opType: string, input: string[], output: string[]): NodeProto {
  return { opType, name: output[0], input, output, attribute: [] };
}
