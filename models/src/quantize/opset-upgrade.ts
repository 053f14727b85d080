import { nodeName } from './graph-index.js';
import { int64ToNumber, type ModelProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { UNCHANGED_OPERATORS, UPGRADE_RULES, type UpgradeContext } from './opset-upgrade-rules.js';
import { QuantizeError } from './quantize-error.js';
import { evaluateStatically } from './static-evaluation.js';
import { floatTensor, int64Tensor } from './tensor-data.js';

/**
 * Oldest opset that can be brought up to date, the one it is brought to (per-axis QuantizeLinear came with 13), and the
 * newest one that ONNX Runtime 1.30 runs and this was tried with.
 */
export const OPSETS = { oldest: 7, target: 13, newest: 23 } as const;

/** The version of ONNX's own operators that a model declares; 0 when it declares none. */
export function opsetOf(model: ModelProto): number {
  return int64ToNumber((model.opsetImport ?? []).find((o) => !o.domain || o.domain === 'ai.onnx')?.version);
}

/**
 * Rewrites a model of opset 7 to 12 for opset 13, in place; its outputs do not change. Newer ones stay as they are.
 * @returns the opset it was written for
 * @throws QuantizeError OPSET_UNSUPPORTED for an opset outside the range, or an operator that is not known here
 */
export function upgradeOpset(model: ModelProto): number {
  const from = opsetOf(model);
  if (from < OPSETS.oldest || from > OPSETS.newest) {
    throw new QuantizeError(
      'OPSET_UNSUPPORTED',
      `the model uses opset ${from}; ${OPSETS.oldest} to ${OPSETS.newest} can be read. Export it again with opset ${OPSETS.target}`,
    );
  }
  if (from >= OPSETS.target) return from;
  const { graph } = model;
  const added: TensorProto[] = [];
  const context = makeContext(model, from, added);
  graph.node = graph.node.flatMap((node) => upgradeNode(node, context));
  graph.initializer = [...(graph.initializer ?? []), ...added];
  const entry = model.opsetImport.find((o) => !o.domain || o.domain === 'ai.onnx')!;
  entry.version = OPSETS.target;
  return from;
}

function upgradeNode(node: NodeProto, context: UpgradeContext): NodeProto[] {
  if (node.domain && node.domain !== 'ai.onnx') return [node];
  if ((node.attribute ?? []).some((a) => a.g || a.graphs?.length)) {
    context.refuse(node, 'it holds a subgraph');
  }
  const rule = Object.hasOwn(UPGRADE_RULES, node.opType) ? UPGRADE_RULES[node.opType] : undefined;
  if (rule) return rule(node, context);
  if (UNCHANGED_OPERATORS.has(node.opType)) return [node];
  return context.refuse(node, 'this operator is not known');
}

function makeContext(model: ModelProto, from: number, added: TensorProto[]): UpgradeContext {
  const { graph } = model;
  const statics = evaluateStatically(graph);
  const read = new Set([...graph.node.flatMap((n) => n.input), ...graph.output.map((o) => o.name)]);
  const taken = new Set([
    ...(graph.initializer ?? []).map((t) => t.name ?? ''),
    ...graph.node.flatMap((n) => n.output),
  ]);
  const add = (node: NodeProto, role: string, make: (name: string) => TensorProto): string => {
    let name = `${node.output[0]}_${role}`;
    while (taken.has(name)) name += '_';
    taken.add(name);
    added.push(make(name));
    return name;
  };
  return {
    from,
    integers: (node, role, values, scalar) =>
      add(node, role, (name) => int64Tensor(name, scalar ? [] : [values.length], values)),
    floats: (node, role, values, scalar) =>
      add(node, role, (name) => floatTensor(name, scalar ? [] : [values.length], values)),
    shapeOf: (name) => statics.shapes.get(name),
    valuesOf: (name) => statics.values.get(name)?.values,
    isRead: (name) => read.has(name),
    refuse: (node, why) => {
      throw new QuantizeError(
        'OPSET_UNSUPPORTED',
        `${node.opType} "${nodeName(node)}" of opset ${from} cannot be written for opset ${OPSETS.target}: ${why}. ` +
          `Export the model again with opset ${OPSETS.target} or newer`,
      );
    },
  };
}
