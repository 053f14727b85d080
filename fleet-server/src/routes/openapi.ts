import type { FastifyInstance, RouteOptions } from 'fastify';

/** Collects the routes that are registered after this call; the returned function gives an OpenAPI 3.1 document. */
export function describeRoutes(app: FastifyInstance, version: string): () => object {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route);
  });
  return () => {
    const paths: Record<string, Record<string, unknown>> = {};
    for (const route of routes) {
      const path = route.url.replace(/:(\w+)/g, '{$1}');
      paths[path] ??= {};
      for (const method of [route.method].flat()) paths[path][method.toLowerCase()] = describe(route);
    }
    return {
      openapi: '3.1.0',
      info: { title: 'Vigie fleet server', version },
      components: {
        securitySchemes: { operator: { type: 'http', scheme: 'bearer' }, board: { type: 'mutualTLS' } },
      },
      paths,
    };
  };
}

interface ObjectSchema {
  properties?: Record<string, unknown>;
  required?: string[];
}

function describe({ url, schema, config }: RouteOptions): object {
  const parameters = (location: string, part: ObjectSchema | undefined) =>
    Object.entries(part?.properties ?? {}).map(([name, property]) => ({
      name,
      in: location,
      required: location === 'path' || (part?.required ?? []).includes(name),
      schema: property,
    }));
  const open = config?.open === true || !url.startsWith('/api/');
  return {
    summary: schema?.summary,
    parameters: [
      ...parameters('path', schema?.params as ObjectSchema),
      ...parameters('query', schema?.querystring as ObjectSchema),
    ],
    ...(schema?.body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: schema.body } } } }),
    responses: { default: { description: 'JSON; a refusal is application/problem+json with a code' } },
    ...(open ? {} : { security: [config?.device === undefined ? { operator: [] } : { board: [] }] }),
  };
}
