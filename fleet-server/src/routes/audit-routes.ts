import { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { AUDIT_OUTCOMES } from '../services/audit-entry.js';
import type { AuditLog } from '../services/audit-log.js';
import { Paging, pageOf, pageParameters } from './paging.js';

const Strict = { additionalProperties: false } as const;
const Instant = Type.String({
  pattern: '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,3})?Z$',
  description: 'ISO 8601, UTC',
});
const Text = Type.String({ minLength: 1, maxLength: 300 });
const AuditQuery = Type.Object(
  {
    ...pageParameters(),
    actor: Type.Optional(Text),
    subject: Type.Optional(Text),
    outcome: Type.Optional(Type.Union(AUDIT_OUTCOMES.map((outcome) => Type.Literal(outcome)))),
    since: Type.Optional(Instant),
    before: Type.Optional(Instant),
  },
  Strict,
);
const ExportQuery = Type.Object(
  {
    after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'rows above it' })),
  },
  Strict,
);
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' });
export const AuditRecordView = Type.Object({
  seq: Type.Integer({ minimum: 1 }),
  previousHash: Hash,
  hash: Hash,
  entry: Type.Object({
    at: Type.String(),
    actor: Type.String(),
    role: Type.Union([Type.String(), Type.Null()]),
    credential: Type.Union([Type.String(), Type.Null()]),
    address: Type.Union([Type.String(), Type.Null()]),
    action: Type.String(),
    subject: Type.String(),
    outcome: Type.String(),
    status: Type.Union([Type.Integer(), Type.Null()]),
    details: Type.Record(Type.String(), Type.Unknown()),
  }),
});
const VerdictView = Type.Union([
  Type.Object({
    ok: Type.Literal(true),
    rows: Type.Integer(),
    end: Type.Object(
      { seq: Type.Integer(), hash: Hash },
      { description: 'write it down elsewhere: see docs/access.md' },
    ),
  }),
  Type.Object({ ok: Type.Literal(false), seq: Type.Integer(), code: Type.String(), detail: Type.String() }),
]);
const PAGING = new Paging('audit', Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }));

/** What operators did: for admins. */
export function auditRoutes(app: FastifyInstance, audit: AuditLog): void {
  const config = { role: 'admin' } as const;
  const tags = ['audit'];

  app.get<{ Querystring: Static<typeof AuditQuery> }>(
    '/audit',
    {
      config,
      schema: {
        summary: 'The audit log, newest first',
        tags,
        querystring: AuditQuery,
        response: { 200: pageOf(AuditRecordView) },
      },
    },
    async ({ query }) => {
      const { limit, cursor, ...filter } = query;
      const asked = PAGING.read({ limit, cursor });
      return PAGING.page(await audit.newest(filter, asked.after, asked.limit + 1), asked, ({ seq }) => seq);
    },
  );

  app.get<{ Querystring: Static<typeof ExportQuery> }>(
    '/audit/export',
    {
      exposeHeadRoute: false,
      config,
      schema: {
        summary: 'The whole log as JSON lines, oldest first: the input of "vigie audit verify FILE"',
        tags,
        querystring: ExportQuery,
        produces: 'application/jsonl',
      },
    },
    async ({ query }, reply) => {
      reply.header('content-disposition', 'attachment; filename="vigie-audit.jsonl"');
      return reply.type('application/jsonl').send(Readable.from(audit.lines(query.after ?? 0)));
    },
  );

  app.get(
    '/audit/verify',
    {
      config,
      schema: { summary: 'Does every row hash to what it says, without a gap?', tags, response: { 200: VerdictView } },
    },
    async () => audit.verify(),
  );
}
