import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { ReleaseUploads } from '../services/release-uploads.js';
import { sendProblem } from './problem.js';
import { actorOf, Notes } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const ImportRequest = Type.Object(
  {
    model: Type.String({ minLength: 1, maxLength: 256, description: 'name of the registered model' }),
    version: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,9}$' })),
    alias: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,255}$' })),
    notes: Type.Optional(Notes),
  },
  Strict,
);

/** Imports from the MLflow server of the configuration; `configured`: there is one. */
export function mlflowRoutes(app: FastifyInstance, uploads: ReleaseUploads, configured: boolean): void {
  app.post<{ Body: Static<typeof ImportRequest> }>(
    '/mlflow/imports',
    {
      config: { role: 'publisher' },
      schema: {
        summary: 'Import a model version from MLflow; GET /uploads/{id} tells how it goes',
        body: ImportRequest,
      },
    },
    async (request, reply) => {
      if (!configured) {
        const detail = 'no MLflow server is known; set mlflow.url in the configuration';
        return sendProblem(reply, 'MLFLOW_NOT_CONFIGURED', detail);
      }
      const { model, version, alias, notes } = request.body;
      if ((version === undefined) === (alias === undefined))
        return sendProblem(reply, 'REQUEST_INVALID', 'name a version or an alias, and not both');
      const which = version === undefined ? { alias } : { version };
      const source = { kind: 'mlflow' as const, model, ...which };
      const result = await uploads.fetch({
        actor: actorOf(request),
        source,
        ...(notes === undefined ? {} : { notes }),
      });
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      const { id, state } = result.upload;
      return reply.code(202).header('location', `/api/v1/uploads/${id}`).send({ id, state, source });
    },
  );
}
