import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { completeRule, RULE_KINDS, RuleInput, RuleName } from '../alerts/rule.js';
import type { AlertRepository, AlertRow, NamedRule } from '../io/database/alert-repository.js';
import type { ChannelRepository } from '../io/database/channel-repository.js';
import type { Now } from '../ports.js';
import { Paging, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const PAGING = new Paging('alerts', Type.Integer({ minimum: 1 }));

const AlertQuery = Type.Object(
  {
    state: Type.Optional(Type.Union([Type.Literal('raised'), Type.Literal('cleared')])),
    rule: Type.Optional(RuleName),
    subject: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    acknowledged: Type.Optional(Type.Boolean()),
    ...pageParameters(),
  },
  Strict,
);
const AlertParams = Type.Object({ id: Type.String({ pattern: '^[1-9]\\d{0,14}$' }) });
const Acknowledgement = Type.Optional(
  Type.Union([
    Type.Object({ note: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })) }, Strict),
    Type.Null(),
  ]),
);
const RuleParams = Type.Object({ name: RuleName });

export interface AlertRouteServices {
  alerts: AlertRepository;
  channels: ChannelRepository;
  now: Now;
  /** The rules changed: hold them against the fleet now. */
  changed: () => void;
}

/** Alerts, and the rules that they come from. */
export function alertRoutes(app: FastifyInstance, { alerts, channels, now, changed }: AlertRouteServices): void {
  app.get<{ Querystring: Static<typeof AlertQuery> }>(
    '/alerts',
    { schema: { summary: 'Alerts, newest first', querystring: AlertQuery } },
    async ({ query }) => {
      const asked = PAGING.read(query);
      const rows = await alerts.list(query, asked.after, asked.limit + 1);
      return PAGING.page(rows, asked, (row) => row.id, viewAlert);
    },
  );

  app.post<{ Params: Static<typeof AlertParams>; Body: { note?: string } | null }>(
    '/alerts/:id/acknowledge',
    {
      schema: {
        summary: 'Say that somebody looks after it: it is not told again',
        params: AlertParams,
        body: Acknowledgement,
      },
    },
    async ({ params, body, actor }, reply) => {
      const row = await alerts.acknowledge(Number(params.id), actor?.name ?? 'unknown', body?.note ?? null, now());
      return row === null ? sendProblem(reply, 'NOT_FOUND', `there is no alert ${params.id}`) : viewAlert(row);
    },
  );

  app.get(
    '/alert-rule-kinds',
    { schema: { summary: 'What rules can watch for, with units and ranges' } },
    async () => ({
      items: Object.entries(RULE_KINDS).map(([kind, spec]) => ({ kind, ...spec })),
    }),
  );

  app.get('/alert-rules', { schema: { summary: 'All rules' } }, async () => ({
    items: (await alerts.rules()).map(viewRule),
  }));

  app.get<{ Params: Static<typeof RuleParams> }>(
    '/alert-rules/:name',
    { schema: { summary: 'One rule', params: RuleParams } },
    async ({ params }, reply) => {
      const named = (await alerts.rules()).find(({ name }) => name === params.name);
      return named === undefined ? sendProblem(reply, 'NOT_FOUND', `there is no rule ${params.name}`) : viewRule(named);
    },
  );

  app.put<{ Params: Static<typeof RuleParams>; Body: RuleInput }>(
    '/alert-rules/:name',
    { schema: { summary: 'Make or replace a rule', params: RuleParams, body: RuleInput } },
    async ({ params: { name }, body, actor }, reply) => {
      const made = completeRule(body);
      if (!made.ok) return sendProblem(reply, 'ALERT_RULE_INVALID', made.detail);
      const known = new Set((await channels.list()).map((channel) => channel.name));
      const missing = made.rule.channels.find((channel) => !known.has(channel));
      if (missing !== undefined)
        return sendProblem(reply, 'ALERT_RULE_INVALID', `channels: there is no channel "${missing}"; make it first`);
      const named = { name, rule: made.rule, updatedAt: now(), updatedBy: actor?.name ?? 'unknown' };
      await alerts.putRule(named);
      changed();
      return viewRule(named);
    },
  );

  app.delete<{ Params: Static<typeof RuleParams> }>(
    '/alert-rules/:name',
    { schema: { summary: 'Remove a rule; its open alerts are cleared', params: RuleParams } },
    async ({ params: { name } }, reply) => {
      if (!(await alerts.deleteRule(name))) return sendProblem(reply, 'NOT_FOUND', `there is no rule ${name}`);
      changed();
      return reply.code(204).send();
    },
  );
}

function viewAlert(row: AlertRow) {
  return {
    ...{ id: row.id, rule: row.rule, kind: row.kind, severity: row.severity, subject: row.subject, state: row.state },
    ...{ text: row.text, detail: row.detail, since: row.since.toISOString() },
    raisedAt: row.raisedAt?.toISOString() ?? null,
    clearedAt: row.clearedAt?.toISOString() ?? null,
    acknowledged:
      row.acknowledgedAt === null
        ? null
        : { at: row.acknowledgedAt.toISOString(), by: row.acknowledgedBy, note: row.acknowledgedNote },
    notices: row.notices,
  };
}

function viewRule({ name, rule, updatedAt, updatedBy }: NamedRule) {
  return { name, ...rule, updatedAt: updatedAt.toISOString(), updatedBy };
}
