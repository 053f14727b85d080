import { type Static, Type } from '@sinclair/typebox';
import { parseGatePolicy } from '@vigie/protocol';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { GateRepository, PresentPolicy } from '../io/database/gate-repository.js';
import type { Now } from '../ports.js';
import { storable, storableDocument } from '../services/audit-entry.js';
import type { GateJudge } from '../services/gate-judge.js';
import { viewPolicy } from './gate-views.js';
import { sendProblem } from './problem.js';
import { actorOf } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const PolicyParams = Type.Object({ name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' }) });
const Note = Type.String({ maxLength: 500, default: '', description: 'why, for the history' });
const PutBody = Type.Object(
  {
    policy: Type.Object(
      {},
      { additionalProperties: true, description: 'a document `vigie.gate/1`; see docs/gates.md' },
    ),
    note: Type.Optional(Note),
    ifVersion: Type.Optional(
      Type.Integer({ minimum: 0, description: 'only if this is the present version; 0: only if there is none' }),
    ),
  },
  Strict,
);
const DeleteQuery = Type.Object({ note: Type.Optional(Note) }, Strict);
const Limit = Type.Integer({ minimum: 1, maximum: 50, default: 20, description: 'newest releases to try it on' });
const RehearsalBody = Type.Object(
  {
    policy: Type.Optional(PutBody.properties.policy),
    version: Type.Optional(Type.Integer({ minimum: 1, description: 'an earlier version in place of the present one' })),
    limit: Type.Optional(Limit),
  },
  Strict,
);
/** Bytes of a request's body. */
const BODY_LIMIT = 131_072;

export interface GateRouteServices {
  gates: GateRepository;
  judge: GateJudge;
  /** A policy changed: unreleased models are to be judged. */
  changed: () => void;
  now: Now;
}

/** Gate policies: what must be shown before boards may install a release. */
export function gateRoutes(app: FastifyInstance, { gates, judge, changed, now }: GateRouteServices): void {
  const unknown = (reply: FastifyReply, name: string) =>
    sendProblem(reply, 'GATE_UNKNOWN', `no gate policy is called "${name}"; see GET /api/v1/gates`);

  app.get('/gates', { schema: { summary: 'Gate policies in force, by name' } }, async () => ({
    items: (await gates.policies()).map(viewPolicy),
  }));

  app.get<{ Params: Static<typeof PolicyParams> }>(
    '/gates/:name',
    { schema: { summary: 'One gate policy with its history, newest version first', params: PolicyParams } },
    async ({ params }, reply) => {
      const history = await gates.history(params.name);
      if (history.length === 0) return unknown(reply, params.name);
      return { ...viewPolicy(history[0]), history: history.map(viewPolicy) };
    },
  );

  app.put<{ Params: Static<typeof PolicyParams>; Body: Static<typeof PutBody> }>(
    '/gates/:name',
    {
      bodyLimit: BODY_LIMIT,
      // Who may change what is asked needs no override: only admins.
      config: { role: 'admin' },
      schema: { summary: 'Create a gate policy, or a new version of it', params: PolicyParams, body: PutBody },
    },
    async (request, reply) => {
      const { params, body } = request;
      const parsed = parseGatePolicy(storableDocument(body.policy));
      if (!parsed.ok) return refusePolicy(reply, parsed);
      if (parsed.policy.name !== params.name) {
        const detail = `name: is "${parsed.policy.name}", not "${params.name}" as in the address; make them the same`;
        return sendProblem(reply, 'GATE_INVALID', detail, { gateCode: 'GATE_NAME', field: 'name' });
      }
      const history = await gates.history(params.name);
      const present = history[0]?.version ?? 0;
      const removed = history[0]?.document === null;
      if (body.ifVersion !== undefined && body.ifVersion !== (removed ? 0 : present))
        return sendProblem(reply, 'GATE_CHANGED', `${params.name} is at version ${present}; read it again`);
      const added = { actor: actorOf(request), note: storable(body.note ?? ''), at: now() };
      if (!(await gates.addPolicy(params.name, present, parsed.policy, added)))
        return sendProblem(reply, 'GATE_CHANGED', `${params.name} changed meanwhile; read it again`);
      changed();
      const [newest] = await gates.history(params.name);
      return reply.code(present === 0 ? 201 : 200).send(viewPolicy(newest));
    },
  );

  app.delete<{ Params: Static<typeof PolicyParams>; Querystring: Static<typeof DeleteQuery> }>(
    '/gates/:name',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Take a gate policy out of force; its history stays',
        params: PolicyParams,
        querystring: DeleteQuery,
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const [newest] = await gates.history(params.name);
      if (newest === undefined || newest.document === null) return unknown(reply, params.name);
      const by = { actor: actorOf(request), note: storable(query.note ?? ''), at: now() };
      if (!(await gates.addPolicy(params.name, newest.version, null, by)))
        return sendProblem(reply, 'GATE_CHANGED', `${params.name} changed meanwhile; read it again`);
      changed();
      return viewPolicy((await gates.history(params.name))[0]);
    },
  );

  app.post<{ Params: Static<typeof PolicyParams>; Body: Static<typeof RehearsalBody> | null }>(
    '/gates/:name/dry-run',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        summary: 'What a policy (the one in force, an earlier version, or the one sent) would say of past releases',
        params: PolicyParams,
        body: Type.Union([RehearsalBody, Type.Null()]),
      },
    },
    async ({ params, body }, reply) => {
      let document: PresentPolicy['document'] | null = null;
      if (body?.policy !== undefined) {
        const parsed = parseGatePolicy(storableDocument(body.policy));
        if (!parsed.ok) return refusePolicy(reply, parsed);
        document = parsed.policy;
      } else {
        const history = await gates.history(params.name);
        const wanted = body?.version === undefined ? history[0] : history.find((one) => one.version === body.version);
        document = wanted?.document ?? null;
      }
      if (document === null) return unknown(reply, params.name);
      const items = await judge.rehearse(document, body?.limit ?? 20);
      const counts = { pass: 0, fail: 0, inconclusive: 0 };
      for (const { verdict } of items) counts[verdict.verdict] += 1;
      return { policy: document.name, counts, items };
    },
  );
}

/** `gateCode` is of the closed list of the protocol's parser. */
function refusePolicy(
  reply: FastifyReply,
  { code, field, detail }: Extract<ReturnType<typeof parseGatePolicy>, { ok: false }>,
): FastifyReply {
  return sendProblem(reply, 'GATE_INVALID', `${field}: ${detail}`, { gateCode: code, field });
}
