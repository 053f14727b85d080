import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { CommandRecord, CommandRepository } from '../io/database/command-repository.js';
import type { Now } from '../ports.js';
import { type CommandService, commandState } from '../services/commands.js';
import { DeviceParams } from './device-routes.js';
import { Paging, pageParameters } from './paging.js';
import { Problem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const CommandParams = Type.Object({ id: DeviceId, command: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) });
const Body = Type.Object(
  {
    command: Type.Union([
      Type.Object({ kind: Type.Literal('identify') }, Strict),
      Type.Object({ kind: Type.Literal('snapshot') }, Strict),
      Type.Object({ kind: Type.Literal('logs'), lines: Type.Integer({ minimum: 1, maximum: 1000 }) }, Strict),
    ]),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 5, maximum: 86_400, default: 300, description: 'the board ignores it later than this' }),
    ),
  },
  Strict,
);
const ListQuery = Type.Object(pageParameters(), Strict);
const PAGING = new Paging('commands', Type.Tuple([Type.String({ maxLength: 40 }), Type.String({ maxLength: 64 })]));
type One = { Params: Static<typeof DeviceParams> };

/** One-off requests to a board, and its answers. */
export function deviceCommandRoutes(
  app: FastifyInstance,
  { commands, repository, now }: { commands: CommandService; repository: CommandRepository; now: Now },
): void {
  const view = ({ issuedAt, expiresAt, answeredAt, ...record }: CommandRecord) => ({
    ...record,
    state: commandState({ issuedAt, expiresAt, answeredAt, ...record }, now()),
    issuedAt: issuedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    answeredAt: answeredAt?.toISOString() ?? null,
  });

  app.post<One & { Body: Static<typeof Body> }>(
    '/devices/:id/commands',
    { schema: { summary: 'Ask a board for a picture, its log, or a sign', params: DeviceParams, body: Body } },
    async ({ params, body, actor }, reply) => {
      const options = { actor: actor?.name ?? 'system', expiresInSeconds: body.expiresInSeconds ?? 300 };
      const result = await commands.send(params.id, body.command, options);
      if (!result.ok) throw new Problem(result.code, result.detail);
      return reply.code(202).send(view(result.command));
    },
  );

  app.get<One & { Querystring: Static<typeof ListQuery> }>(
    '/devices/:id/commands',
    { schema: { summary: 'Commands to a board, the newest first', params: DeviceParams, querystring: ListQuery } },
    async ({ params, query }) => {
      const asked = PAGING.read(query);
      if (asked.after !== null && Number.isNaN(Date.parse(asked.after[0])))
        throw new Problem('CURSOR_INVALID', 'cursor: is none of this list');
      const rows = await repository.page(params.id, asked.after as [string, string] | null, asked.limit + 1);
      return PAGING.page(rows, asked, (row) => [row.issuedAt.toISOString(), row.id], view);
    },
  );

  app.get<{ Params: Static<typeof CommandParams> }>(
    '/devices/:id/commands/:command',
    { schema: { summary: 'One command and its answer', params: CommandParams } },
    async ({ params }) => {
      const record = await repository.find(params.id, params.command);
      if (record === null) throw new Problem('COMMAND_UNKNOWN', `${params.id} was never sent ${params.command}`);
      return view(record);
    },
  );
}
