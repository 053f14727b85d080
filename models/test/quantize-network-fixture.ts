import type { NodeProto, TensorProto } from '../src/quantize/onnx-proto.js';
import {
  executedOperators,
  graphModel,
  op,
  pictures,
  quantizeBytes,
  runModel,
  type SmallGraph,
  sqnr,
  weights,
} from './quantize-graph-fixture.js';

type Part = { nodes: NodeProto[]; constants: TensorProto[] };

/** Conv of `kernel` × `kernel` that keeps the picture's size, with weights that keep the values' size about the same. */
export function conv(input: string, output: string, from: number, to: number, kernel = 3, group = 1, stride = 1): Part {
  const pad = (kernel - 1) / 2;
  const attributes = { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], group, strides: [stride, stride] };
  return {
    nodes: [op('Conv', [input, `${output}.w`, `${output}.b`], output, attributes)],
    constants: [
      weights(`${output}.w`, [to, from / group, kernel, kernel], 2 / Math.sqrt((from / group) * kernel * kernel)),
      weights(`${output}.b`, [to], 0.2),
    ],
  };
}

/** The bytes brought to about −1..1, through 8 channels; ends as `in`. */
export const stem: Part = {
  nodes: [op('Conv', ['x', 'stem.w'], 'in', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })],
  constants: [weights('stem.w', [8, 3, 3, 3], 1 / 200)],
};

/** stem → `middle` (from `in` to `out`) → a 3×3 convolution → `y` */
export function between(middle: NodeProto[], constants: TensorProto[], channels = 8, opset = 13): SmallGraph {
  const last = conv('out', 'y', channels, 4);
  return {
    opset,
    nodes: [...stem.nodes, ...middle, ...last.nodes],
    constants: [...stem.constants, ...constants, ...last.constants],
    outputs: ['y'],
  };
}

export async function compare(graph: SmallGraph) {
  const fp32 = graphModel(graph);
  const { bytes, report } = await quantizeBytes(fp32);
  const ratios: number[] = [];
  for (const picture of pictures(3)) {
    const wanted = await runModel(fp32, Float32Array.from(picture));
    const got = await runModel(bytes, picture);
    for (const name of graph.outputs) ratios.push(sqnr(wanted[name].data, got[name].data));
  }
  return { bytes, report, ratio: Math.min(...ratios), executed: await executedOperators(bytes) };
}
