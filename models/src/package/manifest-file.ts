import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler';
import { decoderProblem } from '../runtime/decoders/registry.js';
import { MAX_MANIFEST_BYTES } from './limits.js';
import { Manifest } from './manifest.js';
import { readYaml } from './manifest-yaml.js';
import { PackageError } from './package-error.js';

const check = TypeCompiler.Compile(Manifest);

/**
 * Parses and checks the text of `manifest.yaml`. Throws MANIFEST_INVALID with one line that names the field, what
 * stands there and what may stand there. Unknown keys, repeated keys, NaN and infinities are refused.
 */
export function parseManifest(text: string): Manifest {
  if (Buffer.byteLength(text) > MAX_MANIFEST_BYTES) {
    throw refusal('', `${Buffer.byteLength(text)} bytes exceed ${MAX_MANIFEST_BYTES}`);
  }
  const reading = readYaml(text);
  if ('problem' in reading) throw refusal('', reading.problem);
  const { value } = reading;
  const problem = innermost(check.Errors(value).First());
  if (problem !== undefined) throw refusal(fieldName(problem.path), explain(problem));
  const manifest = value as Manifest;
  checkMeaning(manifest);
  return manifest;
}

/**
 * Of a value that may have several forms, told apart by their `type`: what is wrong within the form it chose. "None of
 * them fits" would not tell the reader which key to correct.
 */
function innermost(problem: ValueError | undefined): ValueError | undefined {
  if (problem?.type !== ValueErrorType.Union) return problem;
  const { value } = problem;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return problem;
  const types = (problem.schema.anyOf as TSchema[]).map((form) => form.properties?.type?.const as unknown);
  if (types.some((type) => type === undefined)) return problem;
  const chosen = types.indexOf((value as { type?: unknown }).type);
  if (chosen >= 0) return innermost(problem.errors[chosen].First());
  const schema = { anyOf: types.map((type) => ({ const: type })) } as unknown as TSchema;
  return { ...problem, schema, path: `${problem.path}/type`, value: (value as { type?: unknown }).type };
}

/** What the schema alone cannot say. */
function checkMeaning(manifest: Manifest): void {
  const { input, decoder, golden, task } = manifest;
  const wanted = decoder.type === 'classify' ? 'classify' : 'detect';
  if (task !== wanted) throw refusal('task', `"${task}" does not go with decoder ${decoder.type}; use ${wanted}`);
  const disagreement = decoderProblem(decoder, input);
  if (disagreement !== undefined) throw refusal(`decoder.${disagreement.field}`, disagreement.problem);
  if (input.dtype === 'uint8' && !isIdentity(input)) {
    throw refusal('input.mean', 'a uint8 input takes pixels as they are; leave mean and std out, or use dtype float32');
  }
  for (const [frame, { detections }] of golden.entries()) {
    for (const [index, { box }] of detections.entries()) {
      if (box[0] < box[2] && box[1] < box[3]) continue;
      throw refusal(
        `golden[${frame}].detections[${index}].box`,
        `[${box.join(', ')}] is empty; write [x1, y1, x2, y2] with x1 < x2 and y1 < y2`,
      );
    }
  }
}

/** True when pixels reach the tensor unchanged: no mean and no std. */
function isIdentity(input: Manifest['input']): boolean {
  return (input.mean ?? []).every((mean) => mean === 0) && (input.std ?? []).every((std) => std === 1);
}

function refusal(field: string, problem: string): PackageError {
  return new PackageError('MANIFEST_INVALID', `manifest.yaml: ${field === '' ? '' : `${field}: `}${problem}`);
}

/** `/golden/0/file` → `golden[0].file` */
function fieldName(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((name, part) => (/^\d+$/.test(part) ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`), '');
}

function explain(problem: ValueError): string {
  if (problem.type === ValueErrorType.ObjectAdditionalProperties) {
    return 'unknown key; remove it or check its spelling against docs/design.md, section 10';
  }
  const wanted = describe(problem.schema);
  if (problem.value === undefined) return `missing; add ${wanted}`;
  return `${show(problem.value)} is not allowed; write ${wanted}`;
}

function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function describe(schema: TSchema): string {
  if (Array.isArray(schema.anyOf)) return [...new Set((schema.anyOf as TSchema[]).map(describe))].join(' or ');
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === 'number' || schema.type === 'integer') {
    const kind = schema.type === 'integer' ? 'a whole number' : 'a finite number';
    const low = schema.minimum !== undefined ? ` from ${schema.minimum}` : '';
    const above = schema.exclusiveMinimum !== undefined ? ` above ${schema.exclusiveMinimum}` : '';
    const high = schema.maximum !== undefined ? ` to ${schema.maximum}` : '';
    return `${kind}${above}${low}${high}`;
  }
  if (schema.type === 'array') {
    const items = schema.items as TSchema | undefined;
    const least = schema.minItems ?? 0;
    const most = schema.maxItems;
    const count = least === most ? `${least}` : most === undefined ? `${least} or more` : `${least} to ${most}`;
    return `a list of ${count} values${items === undefined ? '' : `, each ${describe(items)}`}`;
  }
  if (schema.type === 'object') return 'a mapping of keys to values';
  const title = schema.title === undefined ? 'text' : `a ${schema.title}`;
  return schema.maxLength === undefined ? title : `${title} of at most ${schema.maxLength} characters`;
}
