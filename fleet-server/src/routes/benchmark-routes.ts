import { type Static, Type } from '@sinclair/typebox';
import { BenchmarkResult, ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { BenchmarkRecord, BenchmarkRepository } from '../io/database/benchmark-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { BenchmarkIntake } from '../services/benchmark-intake.js';
import type { GateJudge } from '../services/gate-judge.js';
import { viewJudgement } from './gate-views.js';
import { Paging, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';
import { actorOf } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const IdParams = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) });
const Short = Type.Optional(Type.String({ minLength: 1, maxLength: 64 }));
const ListQuery = Type.Object(
  {
    name: Type.Optional(ModelName),
    version: Type.Optional(SemanticVersion),
    ...{ arch: Short, hardwareClass: Short, benchmark: Short },
    source: Type.Optional(Type.Union([Type.Literal('ci'), Type.Literal('lab')])),
    ...pageParameters(),
  },
  Strict,
);
const PAGING = new Paging('benchmarks', Type.Integer({ minimum: 1 }));
/** Bytes of a request's body. */
const BODY_LIMIT = 262_144;

type Row = BenchmarkRecord & { name: string; version: string };

/** `series` only with the single result: a list stays small. */
function view({ id, hash, name, version, source, deviceId, actor, receivedAt, body }: Row, whole: boolean): object {
  const { series, ...result } = body;
  const counts = Object.fromEntries(Object.entries(series ?? {}).map(([metric, samples]) => [metric, samples.length]));
  const release = { name, version };
  return {
    id,
    hash,
    release,
    source,
    deviceId,
    actor,
    receivedAt,
    result: whole ? body : { ...result, series: counts },
  };
}

export interface BenchmarkRouteServices {
  benchmarks: BenchmarkRepository;
  releases: ReleaseRepository;
  intake: BenchmarkIntake;
  judge: GateJudge;
}

export function benchmarkRoutes(app: FastifyInstance, services: BenchmarkRouteServices): void {
  const { benchmarks, releases, intake, judge } = services;

  app.post<{ Body: BenchmarkResult }>(
    '/benchmarks',
    {
      bodyLimit: BODY_LIMIT,
      config: { role: 'ci' },
      schema: {
        summary: 'Post a benchmark result; the gates judge its release at once. The same document again is no error',
        body: BenchmarkResult,
      },
    },
    async (request, reply) => {
      const added = await intake.add(request.body, { source: 'ci', deviceId: null, actor: actorOf(request) });
      if (!added.ok) return sendProblem(reply, added.code, added.detail);
      const judged = await judge.judge(added.release.id);
      const said = judged.ok ? viewJudgement(judged.judgement) : {};
      return reply.code(added.created ? 201 : 200).send({ id: added.id, created: added.created, ...said });
    },
  );

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/benchmarks',
    { schema: { summary: 'Benchmark results, newest first, without their samples', querystring: ListQuery } },
    async ({ query }, reply) => {
      const { limit: _limit, cursor: _cursor, version, ...filter } = query;
      const asked = PAGING.read(query);
      if (version === undefined) {
        const rows = await benchmarks.list(filter, asked.after, asked.limit + 1);
        return PAGING.page(
          rows,
          asked,
          (row) => row.id,
          (row) => view(row, false),
        );
      }
      if (filter.name === undefined)
        return sendProblem(reply, 'REQUEST_INVALID', 'version: stands alone; give name, too');
      const release = await releases.find(filter.name, version);
      if (release === null)
        return sendProblem(reply, 'RELEASE_UNKNOWN', `${filter.name}@${version} is not in the registry`);
      const rows = await benchmarks.list({ ...filter, releaseId: release.id }, asked.after, asked.limit + 1);
      return PAGING.page(
        rows,
        asked,
        (row) => row.id,
        (row) => view(row, false),
      );
    },
  );

  app.get<{ Params: Static<typeof IdParams> }>(
    '/benchmarks/:id',
    { schema: { summary: 'One benchmark result with its samples', params: IdParams } },
    async ({ params }, reply) => {
      const row = await benchmarks.find(Number(params.id));
      if (row === null) return sendProblem(reply, 'BENCHMARK_UNKNOWN', `no result has the number ${params.id}`);
      return view(row, true);
    },
  );
}
