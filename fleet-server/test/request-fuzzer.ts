import fc from 'fast-check';

type Schema = Record<string, unknown>;

export interface FuzzOperation {
  path: string;
  method: string;
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  body: { media: string; schema: Schema } | null;
}

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | null;
}

/** Text that has broken others: SQL, headers, paths, templates, prototypes, encodings, and what no database holds. */
const NASTY = [
  ...["' OR '1'='1", "'; DROP TABLE devices; --", '" or ""="', '1; SELECT pg_sleep(5)', "\\'; --", '$1', '%', '_%'],
  ...[
    'x\r\nX-Injected: yes',
    'x\nSet-Cookie: a=b',
    '../../../../etc/passwd',
    '..\\..\\x',
    '/',
    '//',
    '.',
    '..',
    '%2e%2e%2f',
  ],
  ...['\u0000', 'a\u0000b', '\uD800', '\uDFFFx', '\u202Etxt', '😀'.repeat(40), 'é', '\uFEFF', '\u2028'],
  ...['__proto__', 'constructor', 'toString', '{{7*7}}', '<script>alert(1)</script>', '=1+1'],
  ...['null', 'undefined', 'NaN', 'true', '0', '-1', '1e999', '9'.repeat(40), '0x10', ''],
  ...['a'.repeat(300), 'A'.repeat(5000), '[]', '{}', '*', '+', '#', 'vigie/v1/#', '1970-01-01T00:00:00Z', '9999-99-99'],
];
/** Half a pair of UTF-16: no address can hold it. */
const LONE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
const NUMBERS = [0, -1, 1, 1.5, 1e308, -1e308, 2 ** 31, 2 ** 53, 2 ** 53 + 2, 2 ** 63, Number.MIN_VALUE, -0];

/** Mulberry32: small, fast and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Requests by the schemas of an OpenAPI document: good ones, nearly good ones, and broken ones. The same seed gives the same requests. */
export class RequestFuzzer {
  readonly #random: () => number;
  readonly #matching = new Map<string, string[]>();

  constructor(
    private readonly document: Schema,
    /** Names that exist: they get past the first check. */
    private readonly known: readonly string[],
    private readonly seed: number,
  ) {
    this.#random = randomOf(seed);
  }

  next(operation: FuzzOperation): FuzzRequest {
    // Most are wrong in one place: what is wrong everywhere is refused at the first.
    const wrong = this.#random() < 0.65 ? this.#pick(['path', 'query', 'body', 'body', 'body', 'raw', 'header']) : null;
    const headers: Record<string, string> = {};
    let path = operation.path;
    const query: [string, string][] = [];
    for (const { name, in: location, required, schema } of operation.parameters) {
      if (location === 'path') {
        const given = wrong === 'path' && this.#chance(0.7) ? this.#pick(NASTY) : String(this.#valid(schema) ?? 'x');
        path = path.replace(`{${name}}`, () => this.#escaped(given) || 'x');
      } else if (location === 'query' && (required || this.#chance(0.5))) {
        query.push([name, String(wrong === 'query' && this.#chance(0.7) ? this.#junk() : this.#valid(schema))]);
      }
    }
    if (wrong === 'query' && this.#chance(0.4)) query.push([this.#pick(NASTY), this.#pick(NASTY)]);
    if (wrong === 'query' && this.#chance(0.2) && query.length > 0) query.push(query[0]);
    if (query.length > 0)
      path += `?${query.map(([name, value]) => `${this.#escaped(name)}=${this.#escaped(value)}`).join('&')}`;
    if (wrong === 'header') this.#oddHeaders(headers);
    return { method: operation.method, path, headers, body: this.#body(operation, wrong, headers) };
  }

  #body({ body, method }: FuzzOperation, wrong: string | null, headers: Record<string, string>): Buffer | null {
    if (body === null) return wrong === 'raw' && method !== 'GET' ? this.#rawBody(headers) : null;
    if (wrong === 'raw') return this.#rawBody(headers);
    headers['content-type'] = body.media;
    if (body.media !== 'application/json') return Buffer.from(this.#pick(NASTY).repeat(20));
    const value = this.#valid(body.schema);
    return Buffer.from(JSON.stringify(wrong === 'body' ? this.#broken(value, 0) : value) ?? 'null');
  }

  #rawBody(headers: Record<string, string>): Buffer {
    const media = [
      'application/json',
      'application/json; charset=utf-7',
      'text/plain',
      'multipart/form-data',
      '',
      'x/y',
    ];
    const type = this.#pick(media);
    if (type !== '') headers['content-type'] = type;
    return this.#pick([
      Buffer.from('{"a":'),
      Buffer.from('{"__proto__":{"admin":true},"constructor":{"prototype":{}}}'),
      Buffer.from(`${'['.repeat(3000)}${']'.repeat(3000)}`),
      Buffer.from([0xff, 0xfe, 0x00, 0x7b, 0x7d]),
      Buffer.from('null'),
      Buffer.from('"text"'),
      Buffer.from('1e400'),
      Buffer.alloc(0),
      Buffer.from(`{"name":"${'x'.repeat(100_000)}"}`),
      Buffer.from('{"a":1,"a":2}'),
    ]);
  }

  #oddHeaders(headers: Record<string, string>): void {
    const odd: [string, string][] = [
      ['idempotency-key', this.#pick(['k', 'key-1', 'with blank', 'x'.repeat(300), "' or 1=1"])],
      ['last-event-id', this.#pick(['-1', 'x', '9'.repeat(30), '1e3', '5'])],
      ['range', this.#pick(['bytes=0-', 'bytes=9-1', 'bytes=-', 'lines=1-2', `bytes=${'0-1,'.repeat(200)}`])],
      ['if-none-match', this.#pick(['*', '"x"', 'W/"', '"'])],
      ['origin', this.#pick(['null', 'http://evil.example', 'x'])],
      [
        'cookie',
        this.#pick(['vigie_session=x', 'vigie_session=', ';;;', 'vigie_session=vgs_aaaaaaaaaaaaaaaaaaaaaaaa', '==']),
      ],
      ['host', this.#pick(['x', 'evil.example', '[::1', ''])],
      ['accept', 'text/html;q=x'],
      ['x-vigie-csrf', 'x'],
      ['content-encoding', 'gzip'],
      ['expect', '100-continue'],
      ['user-agent', this.#pick(['\u00ff\u0080', 'x'.repeat(4000)])],
      ['upload-offset', this.#pick(['-1', 'x', '1e9', '99999999999999999999'])],
    ];
    for (let count = 1 + Math.floor(this.#random() * 2); count > 0; count -= 1) {
      const [name, value] = this.#pick(odd);
      headers[name] = value;
    }
  }

  /** A value that the schema takes, as far as that can be said. */
  #valid(given: Schema | undefined, depth = 0): unknown {
    const schema = this.#resolved(given ?? {});
    if ('const' in schema) return schema.const;
    if (Array.isArray(schema.enum)) return this.#pick(schema.enum);
    const choice = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
    if (choice !== undefined && choice.length > 0) return this.#valid(this.#pick(choice), depth + 1);
    if (Array.isArray(schema.allOf))
      return Object.assign({}, ...(schema.allOf as Schema[]).map((one) => this.#valid(one, depth + 1)));
    switch (schema.type) {
      case 'object':
        return this.#object(schema, depth);
      case 'array':
        return this.#array(schema, depth);
      case 'integer':
      case 'number': {
        const low = Number(schema.minimum ?? schema.exclusiveMinimum ?? 0);
        const high = Math.min(Number(schema.maximum ?? low + 100), low + 1000);
        const value = this.#pick([low, high, low + (high - low) * this.#random()]);
        return schema.type === 'integer' ? Math.ceil(value) : value;
      }
      case 'boolean':
        return this.#chance(0.5);
      case 'null':
        return null;
      case 'string':
        return this.#string(schema);
      default:
        return this.#pick<unknown>(['x', 1, null, {}, []]);
    }
  }

  #object(schema: Schema, depth: number): Schema {
    const required = (schema.required ?? []) as string[];
    const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
    const made = properties.filter(([name]) => required.includes(name) || (depth < 6 && this.#chance(0.5)));
    return Object.fromEntries(made.map(([name, property]) => [name, this.#valid(property, depth + 1)]));
  }

  #array(schema: Schema, depth: number): unknown[] {
    const least = Number(schema.minItems ?? 0);
    const most = Math.min(Number(schema.maxItems ?? least + 2), least + 2);
    const count = depth > 6 ? least : least + Math.floor(this.#random() * (most - least + 1));
    const prefix = schema.prefixItems as Schema[] | undefined;
    const items = schema.items as Schema | Schema[] | undefined;
    const of = (index: number) => prefix?.[index] ?? (Array.isArray(items) ? items[index] : items);
    return Array.from({ length: prefix?.length ?? count }, (_, index) => this.#valid(of(index), depth + 1));
  }

  #string({ pattern, minLength, maxLength }: Schema): string {
    const fits = (text: string) =>
      text.length >= Number(minLength ?? 0) &&
      text.length <= Number(maxLength ?? 1e9) &&
      (pattern === undefined || new RegExp(String(pattern)).test(text));
    const mine = this.known.filter(fits);
    if (mine.length > 0 && this.#chance(0.6)) return this.#pick(mine);
    if (pattern === undefined) {
      const nasty = NASTY.filter(fits);
      return nasty.length > 0 && this.#chance(0.3)
        ? this.#pick(nasty)
        : 'x'.repeat(Math.max(1, Number(minLength ?? 1)));
    }
    return this.#pick(this.#matches(String(pattern)));
  }

  #matches(pattern: string): string[] {
    let found = this.#matching.get(pattern);
    if (found === undefined) {
      try {
        found = fc.sample(fc.stringMatching(new RegExp(pattern)), { numRuns: 12, seed: this.seed });
      } catch {
        // What the library cannot read, such as a look-behind.
        found = ['x'];
      }
      this.#matching.set(pattern, found);
    }
    return found;
  }

  #broken(value: unknown, depth: number): unknown {
    if (depth < 5 && this.#chance(0.75)) {
      if (Array.isArray(value) && value.length > 0) {
        const at = Math.floor(this.#random() * value.length);
        return this.#chance(0.1)
          ? Array.from({ length: 3000 }, () => value[at])
          : value.map((one, index) => (index === at ? this.#broken(one, depth + 1) : one));
      }
      if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
        const name = this.#pick(Object.keys(value));
        const { [name]: member, ...rest } = value as Schema;
        if (this.#chance(0.2)) return rest;
        if (this.#chance(0.15)) return { ...(value as Schema), [this.#pick(NASTY)]: this.#junk() };
        return { ...rest, [name]: this.#broken(member, depth + 1) };
      }
    }
    return this.#junk();
  }

  #junk(): unknown {
    return this.#pick<() => unknown>([
      () => this.#pick(NASTY),
      () => this.#pick(NASTY),
      () => this.#pick(NUMBERS),
      () => null,
      () => true,
      () => [],
      () => ({}),
      () => [[[[{ a: [null] }]]]],
    ])();
  }

  /** Mostly as it should be escaped; sometimes not, as far as a request line can carry it. */
  #escaped(text: string): string {
    if (this.#chance(0.05)) return this.#pick(['%zz', '%', '%c0%af', '%ff', '%00', '%0d%0aX-Injected:%20yes']);
    return encodeURIComponent(text.replace(LONE, '?'));
  }

  #resolved(schema: Schema): Schema {
    if (typeof schema.$ref !== 'string') return schema;
    let target: unknown = this.document;
    for (const word of schema.$ref.replace('#/', '').split('/')) target = (target as Schema)[word];
    return target as Schema;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)];
  }
}
