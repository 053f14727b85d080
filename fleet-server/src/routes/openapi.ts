import type { FastifyInstance, RouteOptions } from 'fastify';
import { CSRF_HEADER, roleOf, sessionCookie } from './api-gate.js';
import { type JsonSchema, SchemaWriter } from './openapi-schema.js';
import { PROBLEMS } from './problem.js';

/** Statuses of refusals that any route under `/api/` may answer with. */
const REFUSALS = ['400', '401', '403', '429'];

/** Collects the routes that are registered after this call; the returned function gives an OpenAPI 3.1 document. */
export function describeRoutes(app: FastifyInstance, version: string): () => object {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route);
  });
  let document: object | null = null;
  return () => {
    document ??= openApiDocument(routes, version);
    return document;
  };
}

/** Every route that was registered: method and path in Fastify's spelling, with its configuration. */
export function openApiDocument(routes: readonly RouteOptions[], version: string): object {
  const schemas = new SchemaWriter();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.schema?.hide === true) continue;
    const path = route.url.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');
    paths[path] ??= {};
    for (const method of [route.method].flat()) paths[path][method.toLowerCase()] = describe(route, method, schemas);
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Vigie fleet server',
      version,
      summary: 'Registry, gates, rollouts and devices of a fleet of Vigie boards.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.flatMap((route) => tagsOf(route)))].sort().map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'an API token' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: sessionCookie(true),
          description: `a login; changes need its token in ${CSRF_HEADER}`,
        },
        board: { type: 'mutualTLS', description: "a board's certificate" },
      },
      responses: {
        Problem: {
          description: 'a refusal (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      schemas: { Problem: PROBLEM, ...schemas.components },
    },
  };
}

const PROBLEM: JsonSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.keys(PROBLEMS), description: 'what programs decide by' },
    detail: { type: 'string', description: 'one line for people' },
  },
};

interface ObjectSchema {
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

function tagsOf({ url, schema }: RouteOptions): readonly string[] {
  return schema?.tags ?? [/^\/api\/v1\/([a-z-]+)/.exec(url)?.[1] ?? 'server'];
}

function describe(route: RouteOptions, method: string, schemas: SchemaWriter): object {
  const { url, schema, config } = route;
  const guarded = url.startsWith('/api/') && config?.open !== true;
  const role = guarded && config?.device === undefined ? roleOf(method, config?.role) : null;
  return {
    operationId: operationId(url, method),
    tags: tagsOf(route),
    ...(schema?.summary === undefined ? {} : { summary: schema.summary }),
    ...(schema?.description === undefined ? {} : { description: schema.description }),
    parameters: parametersOf(url, method, role !== null, schema, schemas),
    ...requestBody(schema, schemas),
    responses: responsesOf(schema, guarded, schemas),
    ...(role === null ? {} : { 'x-vigie-role': role }),
    ...(config?.secure === true || config?.device !== undefined ? { 'x-vigie-tls-only': true } : {}),
    security: !guarded ? [] : config?.device === undefined ? [{ token: [] }, { session: [] }] : [{ board: [] }],
  };
}

function operationId(url: string, method: string): string {
  const words = url
    .replace('/api/v1', '')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
  return [method.toLowerCase(), ...words].join('_');
}

function parametersOf(
  url: string,
  method: string,
  authorised: boolean,
  schema: RouteOptions['schema'],
  schemas: SchemaWriter,
): object[] {
  const given = schema?.params as ObjectSchema | undefined;
  const names = [...url.matchAll(/:(\w+)/g)].map(([, name]) => name);
  if (url.endsWith('*')) names.push('path');
  const path = names.map((name) => ({
    ...{ name, in: 'path', required: true },
    schema: schemas.write(given?.properties?.[name === 'path' ? '*' : name] ?? { type: 'string' }),
  }));
  const part = (location: 'query' | 'header', from: ObjectSchema | undefined) =>
    Object.entries(from?.properties ?? {}).map(([name, property]) => ({
      ...{ name, in: location, required: (from?.required ?? []).includes(name) },
      ...(typeof property.description === 'string' ? { description: property.description } : {}),
      schema: schemas.write(property),
    }));
  const repeatable = authorised && (method === 'POST' || method === 'PATCH') && schema?.consumes === undefined;
  return [
    ...path,
    ...part('query', schema?.querystring as ObjectSchema),
    ...part('header', schema?.headers as ObjectSchema),
    ...(repeatable ? [IDEMPOTENCY_KEY] : []),
  ];
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'a request that is repeated with its key is answered as the first one was and does nothing again; 24 h',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' },
};

function requestBody(schema: RouteOptions['schema'], schemas: SchemaWriter): object {
  if (schema?.consumes !== undefined)
    return { requestBody: { required: true, content: { [schema.consumes]: { schema: {} } } } };
  if (schema?.body === undefined) return {};
  const body = schema.body as JsonSchema;
  const optional = Array.isArray(body.anyOf) && body.anyOf.some((one) => one.type === 'undefined');
  return { requestBody: { required: !optional, content: { 'application/json': { schema: schemas.write(body) } } } };
}

function responsesOf(schema: RouteOptions['schema'], guarded: boolean, schemas: SchemaWriter): object {
  const given = Object.entries((schema?.response ?? {}) as Record<string, JsonSchema>);
  const described = given.map(([status, body]) => {
    const empty = Number(status) === 204 || Number(status) === 304;
    const content = empty ? {} : { content: { 'application/json': { schema: schemas.write(body) } } };
    return [status, { description: typeof body.description === 'string' ? body.description : 'done', ...content }];
  });
  const media = schema?.produces ?? 'application/json';
  const done = described.length > 0 ? [] : [['200', { description: 'done', content: { [media]: { schema: {} } } }]];
  const refusals = guarded ? REFUSALS.map((status) => [status, PROBLEM_ANSWER]) : [];
  return Object.fromEntries([...refusals, ['default', PROBLEM_ANSWER], ...done, ...described]);
}

const PROBLEM_ANSWER = { $ref: '#/components/responses/Problem' };
