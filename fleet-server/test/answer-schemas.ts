import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Answered {
  content?: Record<string, { schema?: object }>;
}
export interface OpenApiDocument {
  paths: Record<string, Record<string, { responses: Record<string, Answered> }>>;
  components: { schemas: Record<string, unknown> };
}

/** Of one document: its operations, and the schemas that were used. */
interface Prepared {
  ajv: Ajv2020;
  paths: { pattern: RegExp; path: string }[];
  checks: Map<string, ValidateFunction | null>;
}
const prepared = new WeakMap<OpenApiDocument, Prepared>();

/** What is wrong with an answer by the OpenAPI document of its server, in one line; null: nothing. */
export function answerFault(
  document: OpenApiDocument,
  method: string,
  path: string,
  status: number,
  answer: unknown,
): string | null {
  const { ajv, paths, checks } = prepare(document);
  const address = path.split('?')[0];
  const found = paths.find(({ pattern }) => pattern.test(address));
  const operation = found && document.paths[found.path][method.toLowerCase()];
  if (found === undefined || operation === undefined) return 'the document does not have it';
  const key = `${method} ${found.path} ${status}`;
  let check = checks.get(key);
  if (check === undefined) {
    const described = operation.responses[status];
    if (described === undefined) return `only ${Object.keys(operation.responses).join(', ')} are described`;
    const schema = described.content?.['application/json']?.schema;
    check = schema === undefined ? null : ajv.compile(bundled(schema, document));
    checks.set(key, check);
  }
  if (check === null || check(answer)) return null;
  return ajv.errorsText(check.errors, { separator: '; ' }).slice(0, 2000);
}

function prepare(document: OpenApiDocument): Prepared {
  const known = prepared.get(document);
  if (known !== undefined) return known;
  const paths = Object.keys(document.paths)
    // `/releases/compare` before `/releases/{name}`.
    .sort((one, other) => one.split('{').length - other.split('{').length)
    .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`) }));
  const made = { ajv: new Ajv2020({ strict: false, validateFormats: false }), paths, checks: new Map() };
  prepared.set(document, made);
  return made;
}

/** With what its references lead to. */
function bundled(schema: object, { components }: OpenApiDocument): object {
  return { ...schema, components };
}
