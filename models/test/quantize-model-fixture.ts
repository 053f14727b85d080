import {
  AttributeType,
  DataType,
  encodeModel,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../src/quantize/onnx-proto.js';

/** A node with integer-list attributes only. */
export function node(opType: string, input: string[], output: string, ints: Record<string, number[]> = {}): NodeProto {
  const attribute = Object.entries(ints).map(([name, list]) => ({ name, type: AttributeType.ints, ints: list }));
  return { opType, name: `node_${output}`, input, output: [output], attribute };
}

export function picture(name: string, channels: number, size: number, elemType: number = DataType.float) {
  const dim = [1, channels, size, size].map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

/** An opset 13 model of one picture input `image` `[1, 3, size, size]`. */
export function smallModel(
  size: number,
  nodes: NodeProto[],
  initializer: TensorProto[],
  outputs: string[],
  change: Partial<ModelProto> = {},
): Uint8Array {
  return encodeModel({
    irVersion: 7,
    opsetImport: [{ version: 13 }],
    graph: {
      name: 'small',
      node: nodes,
      initializer,
      input: [picture('image', 3, size)],
      output: outputs.map((name) => ({ name, type: { tensorType: { elemType: DataType.float } } })),
      valueInfo: [],
    },
    metadataProps: [],
    ...change,
  });
}

/** Numbers that look random and are the same everywhere (a linear congruential generator), −1..1. */
export function noise(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
