import { floatAttribute, integerAttribute, integerOf, integersAttribute } from './attributes.js';
import { indexGraph } from './graph-index.js';
import type { GraphProto, NodeProto, TensorProto } from './onnx-proto.js';
import { evaluateStatically, type StaticKnowledge } from './static-evaluation.js';
import { normalizedAxis } from './static-values.js';
import { floatTensor } from './tensor-data.js';

/**
 * Writes operators that ONNX Runtime has no integer kernel for with ones that have: HardSwish as Add, Clip and two Mul,
 * the mean over a picture as GlobalAveragePool. Returns how many nodes were rewritten.
 */
export function canonicalize(graph: GraphProto): number {
  const statics = evaluateStatically(graph);
  const added: TensorProto[] = [];
  let changed = 0;
  const hardSigmoids = hardSigmoidsOfHardSwish(graph);
  graph.node = graph.node.flatMap((node) => {
    const made = node.domain ? undefined : rewritten(node, statics, hardSigmoids, added);
    if (made) changed++;
    return made ?? [node];
  });
  graph.initializer = [...(graph.initializer ?? []), ...added];
  return changed;
}

function rewritten(
  node: NodeProto,
  statics: StaticKnowledge,
  hardSigmoids: ReadonlySet<NodeProto>,
  added: TensorProto[],
): NodeProto[] | undefined {
  if (node.opType === 'HardSwish') {
    const gate = `${node.output[0]}_gate`;
    return [...hardSigmoid(node, gate, added), operation(node, 'Mul', [node.input[0], gate], node.output[0], '')];
  }
  if (hardSigmoids.has(node)) return hardSigmoid(node, node.output[0], added);
  if (node.opType === 'ReduceMean') return pictureMean(node, statics);
  return undefined;
}

/** clip(x + 3, 0, 6) × 1/6 */
function hardSigmoid(node: NodeProto, output: string, added: TensorProto[]): NodeProto[] {
  const constant = (role: string, value: number): string => {
    const name = `${node.output[0]}_${role}`;
    added.push(floatTensor(name, [], [value]));
    return name;
  };
  const [shifted, clipped] = [`${output}_shifted`, `${output}_clipped`];
  return [
    operation(node, 'Add', [node.input[0], constant('three', 3)], shifted, '_add'),
    operation(node, 'Clip', [shifted, constant('zero', 0), constant('six', 6)], clipped, '_clip'),
    operation(node, 'Mul', [clipped, constant('sixth', 1 / 6)], output, '_scale'),
  ];
}

/** HardSigmoid(x) with HardSwish's numbers, multiplied by x itself: a HardSwish in two nodes. */
function hardSigmoidsOfHardSwish(graph: GraphProto): Set<NodeProto> {
  const { consumers, outputs } = indexGraph(graph);
  return new Set(
    graph.node.filter((node) => {
      if (node.opType !== 'HardSigmoid' || outputs.has(node.output[0])) return false;
      if (Math.abs((floatAttribute(node, 'alpha') ?? 0.2) - 1 / 6) > 1e-6) return false;
      if ((floatAttribute(node, 'beta') ?? 0.5) !== 0.5) return false;
      const readers = consumers.get(node.output[0]) ?? [];
      return readers.length === 1 && readers[0].opType === 'Mul' && readers[0].input.includes(node.input[0]);
    }),
  );
}

function pictureMean(node: NodeProto, statics: StaticKnowledge): NodeProto[] | undefined {
  const shape = statics.shapes.get(node.input[0]);
  const given = integersAttribute(node, 'axes') ?? statics.values.get(node.input[1] ?? '')?.values;
  if (shape?.length !== 4 || given?.length !== 2) return undefined;
  const axes = given.map((a) => normalizedAxis(a, 4)).sort();
  if (axes[0] !== 2 || axes[1] !== 3) return undefined;
  if ((integerAttribute(node, 'keepdims') ?? 1) === 1) {
    return [operation(node, 'GlobalAveragePool', [node.input[0]], node.output[0], '')];
  }
  const pooled = `${node.output[0]}_pooled`;
  return [
    operation(node, 'GlobalAveragePool', [node.input[0]], pooled, ''),
    { ...operation(node, 'Flatten', [pooled], node.output[0], '_flatten'), attribute: [integerOf('axis', 1)] },
  ];
}

function operation(from: NodeProto, opType: string, input: string[], output: string, suffix: string): NodeProto {
  return { opType, name: `${from.name || from.output[0]}${suffix}`, input, output: [output], attribute: [] };
}
