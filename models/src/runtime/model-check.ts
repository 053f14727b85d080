import type { Manifest } from '../package/manifest.js';
import { PackageError } from '../package/package-error.js';
import type { OutputRequirement, OutputTensor } from './decoder.js';
import type { Engine, ModelInput, ModelValue } from './engine.js';

/** Sizes of a tensor; null: not known, or any. */
type Dims = readonly (number | null)[];

/**
 * Checks that the model takes what the manifest's input makes, as `dims`, and beside it the manifest's constants and
 * nothing else. Throws MODEL_INPUT_MISMATCH.
 */
export function checkInput(engine: Pick<Engine, 'inputs'>, manifest: Manifest, dims: readonly number[]): void {
  const { input } = manifest;
  const constants = Object.entries(input.constants ?? {});
  const at = engine.inputs.findIndex(({ names }) => names.includes(input.name));
  const picture = engine.inputs[at] as ModelInput | undefined;
  const fits = picture?.feeds.includes(input.dtype) && agrees(picture.dims, dims);
  const others = engine.inputs.filter((_, index) => index !== at);
  const given = others.every((other) => constants.some(([name, values]) => takes(other, name, values)));
  if (fits && given && others.length === constants.length) return;
  const said = constants.map(([name, values]) => ` and ${name}, ${values.length} values`).join('');
  throw new PackageError(
    'MODEL_INPUT_MISMATCH',
    `manifest.yaml: input: the manifest says ${input.name} ${input.dtype} [${dims.join(', ')}]${said}, ` +
      `${manifest.model.file} takes ${list(engine.inputs)}; correct the manifest ` +
      `(input.constants gives what is no picture) or export the model again`,
  );
}

/** Whether an input can be given so many values; sizes that are not known are 1. */
function takes({ names, dims, constant }: ModelInput, name: string, values: readonly number[]): boolean {
  const size = dims?.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  return constant === true && names.includes(name) && (size === undefined || size === values.length);
}

/**
 * Checks that the model has an output and that its shape, as far as it is declared, can be what the decoder needs. Returns
 * the sizes when all are known beforehand: from the model, or from the decoder where the model leaves them open.
 * Throws MODEL_OUTPUT_MISMATCH.
 */
export function checkOutput(engine: Pick<Engine, 'outputs'>, wanted: OutputRequirement): number[] | undefined {
  const output = engine.outputs.find(({ names }) => names.includes(wanted.name));
  const shapes = [wanted.dims, ...(wanted.alternatives ?? [])];
  const fitting = output === undefined ? [] : shapes.filter((shape) => agrees(output.dims, shape));
  if (output === undefined || !output.readable || fitting.length === 0) {
    throw new PackageError(
      'MODEL_OUTPUT_MISMATCH',
      `manifest.yaml: ${wanted.field}: expected ${wanted.name} ${shapes.map(show).join(' or ')} ` +
        `from the decoder, the input size and the labels; the model gives ${list(engine.outputs)}; ` +
        'correct the manifest or export the model again',
    );
  }
  if (fitting.length > 1 && !(output.dims ?? [null]).every((dim) => dim !== null)) return undefined;
  const dims = fitting[0].map((dim, index) => output.dims?.[index] ?? dim);
  return dims.every((dim) => dim !== null) ? (dims as number[]) : undefined;
}

/** Checks what a model gave for one frame: sizes that its file leaves open show only now. Throws MODEL_OUTPUT_MISMATCH. */
export function checkResult(tensor: OutputTensor, wanted: OutputRequirement): void {
  const { dims, data } = tensor;
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (
    size === data.length &&
    (agrees(wanted.dims, dims) || wanted.alternatives?.some((shape) => agrees(shape, dims)))
  ) {
    return;
  }
  throw new PackageError(
    'MODEL_OUTPUT_MISMATCH',
    `manifest.yaml: ${wanted.field}: expected ${wanted.name} ` +
      `${[wanted.dims, ...(wanted.alternatives ?? [])].map(show).join(' or ')}, the model gave ${show(dims)}; ` +
      'correct the manifest or export the model again',
  );
}

/** A size that is not known agrees with anything; the first run settles it. */
function agrees(declared: Dims | undefined, dims: Dims): boolean {
  if (declared === undefined) return true;
  if (declared.length !== dims.length) return false;
  for (let index = 0; index < dims.length; index++) {
    const [one, other] = [declared[index], dims[index]];
    if (one !== null && other !== null && one !== other) return false;
  }
  return true;
}

function show(dims: Dims): string {
  return `[${dims.map((dim) => dim ?? '?').join(', ')}]`;
}

/** Bounded: a hostile model may declare thousands. */
function list(values: readonly ModelValue[]): string {
  const shown = values.slice(0, 12).map(({ names, dtype, dims }) => {
    return [names[0], dtype, dims === undefined ? undefined : show(dims)]
      .filter((part) => part !== undefined)
      .join(' ');
  });
  return `${shown.join('; ')}${values.length > 12 ? `; and ${values.length - 12} more` : ''}`;
}
