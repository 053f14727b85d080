import { type Static, Type } from '@sinclair/typebox';
import { DeviceId, ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import { LAB_STATES } from '../gates/lab.js';
import type { LabRecord, LabRepository } from '../io/database/lab-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { LabBenchmarks } from '../services/lab-benchmarks.js';
import { sendProblem } from './problem.js';
import { actorOf } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const ReleaseParams = Type.Object({ name: ModelName, version: SemanticVersion });
const AskBody = Type.Object(
  {
    devices: Type.Optional(Type.Array(DeviceId, { minItems: 1, maxItems: 100, uniqueItems: true })),
    hardwareClasses: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' }), { minItems: 1, maxItems: 64 }),
    ),
    samples: Type.Optional(
      Type.Integer({ minimum: 10, maximum: 2000, default: 300, description: 'frames that count' }),
    ),
  },
  Strict,
);
const ListQuery = Type.Object(
  {
    state: Type.Optional(Type.Union(LAB_STATES.map((state) => Type.Literal(state)))),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
  },
  Strict,
);
type ReleaseRequest = { Params: Static<typeof ReleaseParams> };

export interface LabRouteServices {
  lab: LabRepository;
  benchmarks: LabBenchmarks;
  releases: ReleaseRepository;
}

function view({
  id,
  deviceId,
  samples,
  requestedBy,
  requestedAt,
  expiresAt,
  state,
  code,
  detail,
  resultId,
}: LabRecord): object {
  return { id, deviceId, samples, requestedBy, requestedAt, expiresAt, state, code, detail, benchmark: resultId };
}

/** Boards of the lab: they measure what no gate has certified yet. */
export function labRoutes(app: FastifyInstance, { lab, benchmarks, releases }: LabRouteServices): void {
  const unknown = ({ name, version }: { name: string; version: string }) => `${name}@${version} is not in the registry`;

  app.post<ReleaseRequest & { Body: Static<typeof AskBody> | null }>(
    '/releases/:name/:version/lab-benchmarks',
    {
      schema: {
        summary: 'Ask boards of the lab to benchmark a release: those named, or all that are online',
        ...{ params: ReleaseParams, body: Type.Union([AskBody, Type.Null()]) },
      },
    },
    async (request, reply) => {
      const release = await releases.find(request.params.name, request.params.version);
      if (release === null) return sendProblem(reply, 'RELEASE_UNKNOWN', unknown(request.params));
      const { samples = 300, ...which } = request.body ?? {};
      const result = await benchmarks.ask(release, { ...which, samples }, actorOf(request));
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(202).send({ items: result.asked.map(view) });
    },
  );

  app.get<ReleaseRequest & { Querystring: Static<typeof ListQuery> }>(
    '/releases/:name/:version/lab-benchmarks',
    {
      schema: {
        summary: 'What boards of the lab were asked, newest first',
        params: ReleaseParams,
        querystring: ListQuery,
      },
    },
    async ({ params, query }, reply) => {
      const release = await releases.find(params.name, params.version);
      if (release === null) return sendProblem(reply, 'RELEASE_UNKNOWN', unknown(params));
      const rows = await lab.list({ releaseId: release.id, state: query.state }, query.limit ?? 100);
      return { items: rows.map(view) };
    },
  );
}
