import { type Static, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { OVERRIDE_STATES } from '../gates/override.js';
import type { GateRepository } from '../io/database/gate-repository.js';
import type { GrantRepository } from '../io/database/grant-repository.js';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import { storable } from '../services/audit-entry.js';
import type { GateJudge } from '../services/gate-judge.js';
import type { GateOverrides } from '../services/gate-overrides.js';
import type { ReleaseLife } from '../services/release-life.js';
import { viewGrant, viewJudgement, viewOverride } from './gate-views.js';
import { Paging, pageParameters } from './paging.js';
import { Problem, sendProblem } from './problem.js';
import { actorOf } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const ReleaseParams = Type.Object({ name: ModelName, version: SemanticVersion });
const IdParams = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) });
const HardwareClass = Type.String({
  pattern: '^(\\*|[a-z0-9][a-z0-9-]{0,63})$',
  description: 'hardware class, or `*`',
});
const Reason = Type.String({ minLength: 10, maxLength: 2000, pattern: '\\S', description: 'why; the log keeps it' });
const Release = { name: Type.Optional(ModelName), version: Type.Optional(SemanticVersion) };
const VerdictQuery = Type.Object(
  {
    ...Release,
    policy: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    verdict: Type.Optional(Type.Union([Type.Literal('pass'), Type.Literal('fail'), Type.Literal('inconclusive')])),
    ...pageParameters(200, 50),
  },
  Strict,
);
const OverrideQuery = Type.Object(
  {
    ...Release,
    state: Type.Optional(Type.Union(OVERRIDE_STATES.map((state) => Type.Literal(state)))),
    ...pageParameters(),
  },
  Strict,
);
const OverrideBody = Type.Object(
  {
    hardwareClasses: Type.Array(HardwareClass, { minItems: 1, maxItems: 64, uniqueItems: true }),
    reason: Reason,
  },
  Strict,
);
const DecisionBody = Type.Object(
  { decision: Type.Optional(Type.String({ maxLength: 2000, description: 'what the second person says to it' })) },
  Strict,
);
const RevokeBody = Type.Object({ hardwareClass: HardwareClass, reason: Reason }, Strict);
const VERDICTS = new Paging('gate-verdicts', Type.Integer({ minimum: 1 }), 50);
const OVERRIDES = new Paging('gate-overrides', Type.Integer({ minimum: 1 }));

type ReleaseRequest = { Params: Static<typeof ReleaseParams> };

export interface VerdictRouteServices {
  gates: GateRepository;
  grants: GrantRepository;
  releases: ReleaseRepository;
  judge: GateJudge;
  overrides: GateOverrides;
  life: Pick<ReleaseLife, 'advance'>;
}

/** Verdicts, the certificates that follow, and what people decide against or beside them. */
export function verdictRoutes(app: FastifyInstance, services: VerdictRouteServices): void {
  const { gates, grants, releases, judge, overrides, life } = services;
  const known = async ({ name, version }: { name: string; version: string }): Promise<ReleaseRecord> => {
    const release = await releases.find(name, version);
    if (release === null) throw new Problem('RELEASE_UNKNOWN', `${name}@${version} is not in the registry`);
    return release;
  };
  const filtered = async ({ name, version }: { name?: string; version?: string }): Promise<{ releaseId?: number }> => {
    if (name === undefined && version === undefined) return {};
    if (name === undefined || version === undefined)
      throw new Problem('REQUEST_INVALID', 'name and version belong together; give both or neither');
    return { releaseId: (await known({ name, version })).id };
  };

  app.get<{ Querystring: Static<typeof VerdictQuery> }>(
    '/gate-verdicts',
    { schema: { summary: 'Verdicts of gates with every input, newest first', querystring: VerdictQuery } },
    async ({ query }) => {
      const asked = VERDICTS.read(query);
      const { policy, verdict } = query;
      const filter = { ...(await filtered(query)), policy, verdict };
      const rows = await gates.verdicts(filter, asked.after, asked.limit + 1);
      return VERDICTS.page(rows, asked, (row) => row.id, viewVerdict);
    },
  );

  app.get<{ Params: Static<typeof IdParams> }>(
    '/gate-verdicts/:id',
    { schema: { summary: 'One verdict', params: IdParams } },
    async ({ params }, reply) => {
      const row = await gates.findVerdict(Number(params.id));
      if (row === null) return sendProblem(reply, 'VERDICT_UNKNOWN', `no verdict has the number ${params.id}`);
      return viewVerdict(row);
    },
  );

  app.post<ReleaseRequest>(
    '/releases/:name/:version/judge',
    { schema: { summary: 'Let the gates judge a release now', params: ReleaseParams } },
    async (request, reply) => {
      const result = await judge.judge((await known(request.params)).id, actorOf(request));
      return result.ok ? viewJudgement(result.judgement) : sendProblem(reply, result.code, result.detail);
    },
  );

  app.post<ReleaseRequest>(
    '/releases/:name/:version/release',
    {
      config: { role: 'publisher' },
      schema: { summary: 'Release what gates certified, where gates.release is manual', params: ReleaseParams },
    },
    async (request, reply) => {
      const { params } = request;
      const release = await known(params);
      const standing = (await grants.ofRelease(release.id)).filter(({ revokedAt }) => revokedAt === null);
      if (standing.length === 0 && release.state !== 'released') {
        const detail = `${params.name}@${params.version} is ${release.state} and certified for no class; let a gate pass it or ask for an override`;
        return sendProblem(reply, 'RELEASE_NOT_APPROVED', detail);
      }
      const certifiedBy = [...new Set(standing.map(({ policy }) => policy))].join(',').slice(0, 200);
      const by = {
        actor: actorOf(request),
        reason: 'released by hand',
        ...(certifiedBy === '' ? {} : { certifiedBy }),
      };
      const result = await life.advance(release.id, 'released', by);
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      const { name, version, digest, state } = result.release;
      return { name, version, digest, state, certifiedBy: result.release.certifiedBy };
    },
  );

  app.get<ReleaseRequest>(
    '/releases/:name/:version/certificates',
    { schema: { summary: 'What a release is certified for by gates and overrides', params: ReleaseParams } },
    async ({ params }) => ({ items: (await grants.ofRelease((await known(params)).id)).map(viewGrant) }),
  );

  app.post<ReleaseRequest & { Body: Static<typeof RevokeBody> }>(
    '/releases/:name/:version/certificates/revoke',
    {
      schema: {
        summary: 'Take a certificate back; a board that runs the release keeps it. It only comes back by an override',
        ...{ params: ReleaseParams, body: RevokeBody },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const release = await known(params);
      const reason = storable(body.reason, 2000);
      if (!(await overrides.revoke(release, body.hardwareClass, reason, actorOf(request)))) {
        const detail = `${params.name}@${params.version} holds no certificate for ${body.hardwareClass} that a gate or an override gave`;
        return sendProblem(reply, 'CERTIFICATE_UNKNOWN', detail);
      }
      return { items: (await grants.ofRelease(release.id)).map(viewGrant) };
    },
  );

  app.post<ReleaseRequest & { Body: Static<typeof OverrideBody> }>(
    '/releases/:name/:version/overrides',
    {
      schema: {
        summary: 'Ask to certify a release against the gates; somebody else must approve (gates.secondPerson)',
        ...{ params: ReleaseParams, body: OverrideBody },
      },
    },
    async (request, reply) => {
      const { hardwareClasses, reason } = request.body;
      const release = await known(request.params);
      const by = actorOf(request);
      const result = await overrides.request(release, hardwareClasses, storable(reason, 2000), by);
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(201).send(viewOverride(result.override, release));
    },
  );

  app.get<{ Querystring: Static<typeof OverrideQuery> }>(
    '/gate-overrides',
    { schema: { summary: 'Overrides of gates, newest first', querystring: OverrideQuery } },
    async ({ query }) => {
      const asked = OVERRIDES.read(query);
      const filter = { ...(await filtered(query)), state: query.state };
      const rows = await grants.overrides(filter, asked.after, asked.limit + 1);
      const page = OVERRIDES.page(rows, asked, (row) => row.id);
      const items = await Promise.all(
        page.items.map(async (row) => viewOverride(row, await releases.findById(row.releaseId))),
      );
      return { ...page, items };
    },
  );

  for (const [verb, to, summary] of [
    ['approve', 'approved', 'Approve an override as the second person'],
    ['reject', 'rejected', 'Reject an override'],
  ] as const) {
    app.post<{ Params: Static<typeof IdParams>; Body: Static<typeof DecisionBody> | null }>(
      `/gate-overrides/:id/${verb}`,
      { schema: { summary, params: IdParams, body: Type.Union([DecisionBody, Type.Null()]) } },
      async (request, reply: FastifyReply) => {
        const decision = storable(request.body?.decision ?? '', 2000);
        const result = await overrides.decide(Number(request.params.id), to, decision, actorOf(request));
        if (!result.ok) return sendProblem(reply, result.code, result.detail);
        return viewOverride(result.override, await releases.findById(result.override.releaseId));
      },
    );
  }
}

function viewVerdict(row: NonNullable<Awaited<ReturnType<GateRepository['findVerdict']>>>): object {
  const { id, name, version, policy, policyVersion, at, actor, verdict, inputs, body } = row;
  return { id, release: { name, version }, policy, policyVersion, at, actor, verdict, inputs, classes: body.classes };
}
