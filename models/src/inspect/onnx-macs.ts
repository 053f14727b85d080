import { integerAttribute } from '../quantize/attributes.js';
import type { GraphProto, NodeProto } from '../quantize/onnx-proto.js';

type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * Multiply-accumulates of one frame: convolutions and matrix products, which are all but a few percent of a network.
 * Null when a shape of one of them is not known, or there is none.
 */
export function countMacs(graph: GraphProto, shapes: Shapes): number | null {
  let total = 0;
  for (const node of graph.node) {
    const macs = macsOf(node, shapes);
    if (macs === null) return null;
    total += macs;
  }
  return total > 0 && Number.isSafeInteger(total) ? total : null;
}

function macsOf(node: NodeProto, shapes: Shapes): number | null {
  const shape = (name: string | undefined): readonly number[] | undefined => {
    const dims = shapes.get(name ?? '');
    return dims?.includes(-1) ? undefined : dims;
  };
  switch (node.opType) {
    case 'Conv':
    case 'ConvInteger':
      return convolution(shape(node.output[0]), shape(node.input[1]));
    case 'QLinearConv':
      return convolution(shape(node.output[0]), shape(node.input[3]));
    // Every input value meets every weight of its channel.
    case 'ConvTranspose':
      return convolution(shape(node.input[0]), shape(node.input[1]));
    case 'Gemm':
      return product(shape(node.output[0]), shape(node.input[0])?.[integerAttribute(node, 'transA') ? 0 : 1]);
    case 'MatMul':
    case 'MatMulInteger':
    case 'QLinearMatMul':
      return product(shape(node.output[0]), shape(node.input[0])?.at(-1));
    default:
      return 0;
  }
}

function convolution(map: readonly number[] | undefined, weights: readonly number[] | undefined): number | null {
  if (map === undefined || weights === undefined) return null;
  return count(map) * count(weights.slice(1));
}

function product(result: readonly number[] | undefined, inner: number | undefined): number | null {
  return result === undefined || inner === undefined ? null : count(result) * inner;
}

function count(dims: readonly number[]): number {
  return dims.reduce((total, dim) => total * dim, 1);
}
