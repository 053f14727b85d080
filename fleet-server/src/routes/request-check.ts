import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import type { FastifySchemaCompiler } from 'fastify';

/** Marks a field whose value is never repeated, not in a refusal either: `Type.String({ ...Secret, … })`. */
export const Secret = { writeOnly: true } as const;

/** Checks parts of requests against their TypeBox schemas. */
export const validatorCompiler: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) => {
  const check = TypeCompiler.Compile(schema as TSchema);
  return (given: unknown) => {
    // Queries arrive as text.
    const value = httpPart === 'querystring' ? Value.Convert(schema as TSchema, given) : given;
    const problem = check.Errors(value).First();
    if (problem !== undefined) {
      const path = `${httpPart}${problem.path.replaceAll('/', '.')}`.slice(0, 200);
      return { error: new Error(`${path}: ${shown(problem.value, problem.schema)}${problem.message}`) };
    }
    const unfit = unstorable(value);
    if (unfit !== null) return { error: new Error(`${httpPart}${unfit}: holds a NUL or half of a UTF-16 pair`) };
    return { value };
  };
};

/** The value as a refusal repeats it: short, and nothing that may hold a secret. */
function shown(value: unknown, schema: TSchema): string {
  if (schema.writeOnly === true || (typeof value === 'object' && value !== null) || value === undefined) return '';
  return `${JSON.stringify(value)?.slice(0, 80)}: `;
}

/** Path of the first text that no database holds; null: there is none. */
function unstorable(value: unknown, path = ''): string | null {
  if (typeof value === 'string') return UNSTORABLE.test(value) ? path : null;
  if (typeof value !== 'object' || value === null || 'pipe' in value) return null;
  for (const [name, member] of Object.entries(value)) {
    if (UNSTORABLE.test(name)) return path;
    const found = unstorable(member, `${path}.${name}`.slice(0, 200));
    if (found !== null) return found;
  }
  return null;
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what it looks for
const UNSTORABLE = /\u0000|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;
