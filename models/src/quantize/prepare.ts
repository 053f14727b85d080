import { canonicalize } from './canonicalize.js';
import { foldAffine } from './fold-affine.js';
import { foldConstants } from './fold-constants.js';
import { int64ToNumber, type ModelProto } from './onnx-proto.js';
import { OPSETS, upgradeOpset } from './opset-upgrade.js';
import { removeIdentities, removeUnused } from './remove-unused.js';

/** A model ready for planning, and what was changed for it, one line each, for the report. */
export interface PreparedModel {
  model: ModelProto;
  notes: string[];
}

/** The first version of the file format in which an initializer need not be an input as well. */
const OLDEST_IR = 4;

/**
 * Brings a float model, in place, into the form the quantizer plans on: opset 13 or newer, batch 1, shape arithmetic
 * folded, BatchNormalization and constant factors folded into their convolutions, identities and dead nodes removed.
 * Its outputs stay the same up to float rounding. A model that is in this form already is not changed at all.
 * @throws QuantizeError OPSET_UNSUPPORTED for an opset or an operator whose older form is not known here
 */
export function prepareForQuantization(model: ModelProto): PreparedModel {
  const notes: string[] = [];
  const note = (count: number, text: string) => count > 0 && notes.push(`${count} ${text}`);
  const { graph } = model;
  graph.input ??= [];
  graph.output ??= [];
  graph.initializer ??= [];
  dropConstantInputs(model);
  const fixed = fixBatch(model);
  if (fixed) notes.push(`batch size of "${fixed}" fixed to 1`);
  const from = upgradeOpset(model);
  if (from < OPSETS.target) notes.push(`opset ${from} upgraded to ${OPSETS.target}`);
  note(removeIdentities(graph), 'identities removed');
  note(foldConstants(graph), 'nodes of shape arithmetic folded');
  removeUnused(graph);
  note(canonicalize(graph), 'operators rewritten with ones that have integer kernels');
  note(foldAffine(graph), 'batch normalizations and constant factors folded into convolutions');
  removeUnused(graph);
  // stale and partly wrong after these changes, and only a hint
  if (notes.length > 0) graph.valueInfo = [];
  return { model, notes };
}

/** Before IR 4 each initializer was an input too, which a caller may replace: then nothing could be folded. */
function dropConstantInputs(model: ModelProto): void {
  const constants = new Set(model.graph.initializer.map((t) => t.name));
  model.graph.input = model.graph.input.filter((i) => !constants.has(i.name));
  if (int64ToNumber(model.irVersion) < OLDEST_IR) model.irVersion = OLDEST_IR;
}

/** Our runtime passes one picture at a time; a symbolic batch would keep all shape arithmetic from being folded. */
function fixBatch({ graph }: ModelProto): string | undefined {
  const constants = new Set(graph.initializer.map((t) => t.name));
  const inputs = graph.input.filter((i) => !constants.has(i.name));
  // others, if any, are small: a picture's size, its scale
  const pictures = inputs.filter((i) => i.type?.tensorType?.shape?.dim.length === 4);
  const batch = pictures.length === 1 ? pictures[0].type?.tensorType?.shape?.dim[0] : undefined;
  if (!batch || int64ToNumber(batch.dimValue ?? undefined, 0) > 0) return undefined;
  batch.dimValue = 1;
  batch.dimParam = undefined;
  return pictures[0].name;
}
