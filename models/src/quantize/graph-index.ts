import { DataType, type GraphProto, int64ToNumber, type NodeProto, type TensorProto } from './onnx-proto.js';

/** Who makes and who reads each tensor of a graph, and which tensors are constants. */
export interface GraphIndex {
  graph: GraphProto;
  consumers: Map<string, NodeProto[]>;
  constants: Map<string, TensorProto>;
  /** Names of the graph's inputs that are no initializers. */
  inputs: string[];
  /** Tensors that must keep their names: what the caller reads, and what a subgraph (If, Loop) reads from outside. */
  outputs: Set<string>;
}

export function indexGraph(graph: GraphProto): GraphIndex {
  const consumers = new Map<string, NodeProto[]>();
  const constants = new Map(graph.initializer.map((t) => [t.name ?? '', t]));
  for (const node of graph.node) {
    for (const name of new Set(node.input)) {
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
    const value = node.opType === 'Constant' ? node.attribute?.find((a) => a.name === 'value')?.t : undefined;
    if (value) constants.set(node.output[0], value);
  }
  return {
    graph,
    consumers,
    constants,
    // before IR 4 initializers were listed among the inputs
    inputs: graph.input.map((i) => i.name).filter((name) => !constants.has(name)),
    outputs: new Set([...graph.output.map((o) => o.name), ...graph.node.flatMap(capturedNames)]),
  };
}

/** Every tensor name that a node's subgraphs read, those of their own among them. */
function capturedNames(node: NodeProto): string[] {
  const graphs = (node.attribute ?? []).flatMap((a) => [...(a.g ? [a.g] : []), ...(a.graphs ?? [])]);
  return graphs.flatMap((g) => [
    ...g.output.map((o) => o.name),
    ...g.node.flatMap((inner) => [...inner.input, ...capturedNames(inner)]),
  ]);
}

/**
 * Name, width and height of the one picture input `[1, 3, height, width]`, or what stands there instead.
 * @param constants further inputs, whose values the manifest lays down
 */
export function pictureInput(
  index: GraphIndex,
  constants: readonly string[] = [],
): { name: string; width: number; height: number } | { problem: string } {
  const unknown = constants.find((name) => !index.inputs.includes(name));
  if (unknown !== undefined)
    return { problem: `input.constants: the graph has no input "${unknown}" (${index.inputs.join(', ')})` };
  const pictures = index.inputs.filter((name) => !constants.includes(name));
  if (pictures.length !== 1)
    return {
      problem:
        `the graph has ${index.inputs.length} inputs (${index.inputs.join(', ')}); one picture is needed, and values for ` +
        'all others under input.constants of the manifest beside the model',
    };
  const info = index.graph.input.find((i) => i.name === pictures[0]);
  const type = info?.type?.tensorType;
  const dims = type?.shape?.dim.map((d) => int64ToNumber(d.dimValue ?? undefined, -1) || -1) ?? [];
  if (type?.elemType !== DataType.float)
    return { problem: `input "${info?.name}" has ONNX data type ${type?.elemType}; float32 (1) is needed` };
  if (dims.length !== 4 || dims[1] !== 3 || !(dims[2] > 0) || !(dims[3] > 0) || dims[0] > 1) {
    return {
      problem: `input "${info?.name}" is [${dims.join(', ')}] (-1: not fixed); [1, 3, height, width] is needed: export it with a fixed size`,
    };
  }
  return { name: pictures[0], height: dims[2], width: dims[3] };
}

/** What messages, reports and `exclude` call a node: its name, or its first result where it has none. */
export function nodeName(node: NodeProto): string {
  return node.name || node.output[0];
}
