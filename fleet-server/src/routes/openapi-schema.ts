/** JSON Schema 2020-12 as OpenAPI 3.1 embeds it. */
export type JsonSchema = Record<string, unknown>;

/**
 * TypeBox schemas as JSON Schema: what only TypeBox understands is put in words that every reader of OpenAPI knows, and
 * schemas with an `$id` (recursive ones) move to `components`, where references find them.
 */
export class SchemaWriter {
  readonly components: Record<string, JsonSchema> = {};

  /** The schema, or null where it stands for "nothing". */
  write(schema: unknown): JsonSchema | null {
    if (isUndefined(schema)) return null;
    return this.#schema(schema as JsonSchema);
  }

  #schema(schema: JsonSchema): JsonSchema {
    if (typeof schema.$id === 'string') {
      const { $id, ...rest } = schema;
      const name = componentName($id);
      if (this.components[name] === undefined) {
        // First, so that a reference to itself finds it.
        this.components[name] = {};
        this.components[name] = this.#members(rest);
      }
      return { $ref: `#/components/schemas/${name}` };
    }
    return this.#members(schema);
  }

  #members(schema: JsonSchema): JsonSchema {
    if (typeof schema.$ref === 'string' && !schema.$ref.startsWith('#/'))
      return { $ref: `#/components/schemas/${componentName(schema.$ref)}` };
    if (schema.type === 'RegExp') return { type: 'string', pattern: schema.source };
    if (schema.type === 'Date') return { type: 'string', format: 'date-time' };
    if (Array.isArray(schema.anyOf)) {
      const some = schema.anyOf.filter((one) => !isUndefined(one));
      if (some.length < schema.anyOf.length)
        return this.#members(some.length === 1 ? some[0] : { ...schema, anyOf: some });
    }
    return Object.fromEntries(
      Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
        if (value === undefined || typeof value === 'function') return [];
        if (NAMED.includes(key)) {
          const entries = Object.entries(value as Record<string, JsonSchema>);
          return [[key, Object.fromEntries(entries.map(([name, one]) => [name, this.#schema(one)]))]];
        }
        if (LISTS.includes(key)) return [[key, (value as JsonSchema[]).map((one) => this.#schema(one))]];
        if (SINGLE.includes(key) && typeof value === 'object') return [[key, this.#schema(value as JsonSchema)]];
        return [[key, value]];
      }),
    );
  }
}

const NAMED = ['properties', 'patternProperties', '$defs', 'dependentSchemas'];
const LISTS = ['anyOf', 'allOf', 'oneOf', 'prefixItems'];
const SINGLE = [
  ...['items', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'not', 'contains'],
  ...['propertyNames', 'if', 'then', 'else'],
];

function isUndefined(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && (schema as JsonSchema).type === 'undefined';
}

const componentName = (id: string) => id.replace(/[^A-Za-z0-9._-]/g, '_');
