import {
  AttributeType,
  DataType,
  decodeModel,
  encodeModel,
  type ModelProto,
  type NodeProto,
} from '../src/quantize/onnx-proto.js';
import { mutateBytes, pick, type Random, run } from './fuzz-bytes.js';

const SIZES = [0, -1, 1, 2, 3, 7, 255, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 40, -(2 ** 31), -(2 ** 40)];

type ModelMutator = (model: ModelProto, random: Random) => void;

const someNode = (model: ModelProto, random: Random): NodeProto | undefined =>
  model.graph.node[random(model.graph.node.length)];

/** Changes that keep the file a well-formed protobuf and make the network nonsense. */
const STRUCTURE: Readonly<Record<string, ModelMutator>> = {
  dims: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    if (tensor === undefined || tensor.dims.length === 0) return;
    if (random(2) === 0) tensor.dims.reverse();
    else tensor.dims[random(tensor.dims.length)] = pick(random, SIZES);
  },
  moreDims: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    tensor?.dims.push(...Array.from({ length: 1 + random(40) }, () => pick(random, SIZES)));
  },
  inputDims: ({ graph }, random) => {
    const dim = pick(random, [...graph.input, ...graph.output, ...graph.valueInfo]).type?.tensorType?.shape?.dim;
    if (dim !== undefined && dim.length > 0) dim[random(dim.length)] = { dimValue: pick(random, SIZES) };
  },
  type: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    if (tensor !== undefined) tensor.dataType = random(30) - 2;
  },
  shortData: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    if (tensor?.rawData?.length)
      tensor.rawData = Buffer.from(tensor.rawData).subarray(0, random(tensor.rawData.length));
  },
  noisyData: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    if (tensor?.rawData?.length) tensor.rawData = run(Buffer.from(tensor.rawData), random);
  },
  external: ({ graph }, random) => {
    const tensor = graph.initializer[random(graph.initializer.length)];
    if (tensor === undefined) return;
    tensor.dataLocation = 1;
    tensor.externalData = [{ key: 'location', value: pick(random, ['../../etc/passwd', 'a', '*/_ORT_MEM_ADDR_/*']) }];
    tensor.rawData = undefined;
  },
  removeNode: ({ graph }, random) => void graph.node.splice(random(graph.node.length), 1 + random(3)),
  repeatNode: ({ graph }, random) => {
    const node = graph.node[random(graph.node.length)];
    if (node !== undefined) graph.node.splice(random(graph.node.length), 0, node);
  },
  shuffleNodes: ({ graph }, random) => {
    const at = random(graph.node.length);
    graph.node.push(...graph.node.splice(at, 1 + random(5)));
  },
  cycle: (model, random) => {
    const [a, b] = [someNode(model, random), someNode(model, random)];
    if (a?.input.length && b?.output.length) a.input[random(a.input.length)] = b.output[0];
  },
  selfLoop: (model, random) => {
    const node = someNode(model, random);
    if (node?.input.length && node.output.length) node.input[0] = node.output[0];
  },
  noInputs: (model, random) => void someNode(model, random)?.input.splice(random(2)),
  noOutputs: (model, random) => void someNode(model, random)?.output.splice(0),
  operator: (model, random) => {
    const node = someNode(model, random);
    const others = [
      'Reshape',
      'Concat',
      'Resize',
      'Gather',
      'Slice',
      'Pad',
      'Tile',
      'Expand',
      'ConstantOfShape',
      'Loop',
      'If',
      'Split',
      'NoSuchOp',
    ];
    if (node !== undefined) node.opType = pick(random, others);
  },
  attribute: (model, random) => {
    const attribute = pick(random, someNode(model, random)?.attribute ?? []);
    if (attribute === undefined) return;
    if (attribute.ints?.length) attribute.ints[random(attribute.ints.length)] = pick(random, SIZES);
    else if (attribute.type === AttributeType.int) attribute.i = pick(random, SIZES);
    else attribute.type = random(16);
  },
  manyInts: (model, random) => {
    const attribute = someNode(model, random)?.attribute?.find(({ ints }) => ints?.length);
    attribute?.ints?.push(...Array.from({ length: 1 + random(2000) }, () => pick(random, SIZES)));
  },
  dropAttribute: (model, random) => {
    const attributes = someNode(model, random)?.attribute;
    attributes?.splice(random(attributes.length), 1);
  },
  subgraph: (model, random) => {
    const node = someNode(model, random);
    node?.attribute?.push({
      name: 'body',
      type: AttributeType.graph,
      g: { ...model.graph, node: model.graph.node.slice(0, 3).map((inner) => ({ ...inner, attribute: [] })) },
    });
  },
  dropInitializer: ({ graph }, random) => void graph.initializer.splice(random(graph.initializer.length), 1),
  bomb: ({ graph }, random) => {
    // A few bytes that ask for up to 2^40 values when constants are folded.
    const dims = Array.from({ length: 1 + random(3) }, () => pick(random, [2 ** 10, 2 ** 14, 2 ** 20]));
    const raw = Buffer.alloc(8 * dims.length);
    for (const [index, size] of dims.entries()) raw.writeBigInt64LE(BigInt(size), 8 * index);
    graph.initializer.push({ name: 'bomb', dims: [dims.length], dataType: DataType.int64, rawData: raw });
    graph.node.unshift({ opType: 'ConstantOfShape', input: ['bomb'], output: ['exploded'] });
    graph.output.push({ name: 'exploded', type: { tensorType: { elemType: DataType.float } } });
  },
  rename: ({ graph }, random) => {
    const value = pick(random, [...graph.output, ...graph.input]);
    if (value !== undefined) value.name = pick(random, ['', 'x'.repeat(100_000), '\u0000', '__proto__', 'constructor']);
  },
  opset: (model, random) => {
    const entry = pick(random, model.opsetImport);
    if (entry === undefined) return;
    if (random(2) === 0) entry.version = pick(random, [...SIZES, 9, 11, 12, 21, 99]);
    else entry.domain = pick(random, ['com.microsoft', 'ai.onnx.ml', 'nowhere']);
  },
  noGraph: (model, random) => {
    if (random(2) === 0) model.graph.node = [];
    else model.graph.output = [];
  },
};

/** One or two changes of a network's structure; `name` tells which. */
export function mutateModel(bytes: Buffer, random: Random): { bytes: Buffer; name: string } {
  const model = decodeModel(bytes);
  const names = Array.from({ length: 1 + random(2) }, () => pick(random, Object.keys(STRUCTURE)));
  for (const name of names) STRUCTURE[name](model, random);
  return { bytes: Buffer.from(encodeModel(model)), name: names.join('+') };
}

/** Half of the mutations keep the protobuf whole, the other half break bytes. */
export function mutateOnnx(bytes: Buffer, random: Random): { bytes: Buffer; name: string } {
  return random(2) === 0 ? mutateModel(bytes, random) : { bytes: mutateBytes(bytes, random), name: 'bytes' };
}
