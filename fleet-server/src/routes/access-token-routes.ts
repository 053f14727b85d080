import { randomUUID } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Actor } from '../roles.js';
import type { ApiTokenService } from '../services/api-tokens.js';
import { CreationKey, creationKey, Id, RoleName, TokenView } from './access-schemas.js';
import { Paging, pageOf, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const NewToken = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,62}$', description: 'whose it is, or what for' }),
    role: RoleName,
    days: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: 3650 }), Type.Null()], {
        description: 'life in days, by default 365; null: without an end',
      }),
    ),
  },
  Strict,
);
const TokenParams = Type.Object({ id: Id });
const TokenQuery = Type.Object({ ...pageParameters(200) }, Strict);
const PAGING = new Paging('tokens', CreationKey);
const USUAL_DAYS = 365;

/** Tokens of jobs and programs: for admins. */
export function apiTokenRoutes(app: FastifyInstance, tokens: ApiTokenService): void {
  const config = { role: 'admin' } as const;
  const tags = ['access'];

  app.get<{ Querystring: Static<typeof TokenQuery> }>(
    '/tokens',
    {
      config,
      schema: {
        summary: 'API tokens, newest first',
        tags,
        querystring: TokenQuery,
        response: { 200: pageOf(TokenView) },
      },
    },
    async ({ query }) => {
      const asked = PAGING.read(query);
      return PAGING.page(await tokens.list(asked.after, asked.limit + 1), asked, creationKey);
    },
  );

  app.post<{ Body: Static<typeof NewToken> }>(
    '/tokens',
    {
      config,
      bodyLimit: 4096,
      schema: {
        summary: 'A new API token; it is shown in this answer only',
        tags,
        body: NewToken,
        response: { 201: Type.Intersect([TokenView, Type.Object({ token: Type.String() })]) },
      },
    },
    async (request, reply) => {
      const { name, role, days = USUAL_DAYS } = request.body;
      const { person, name: maker } = request.actor as Actor;
      const id = randomUUID();
      Object.assign(request.audit, { subject: `token:${id}`, details: { name, role, days } });
      const { secret, token } = await tokens.create({ id, name, role, days }, person ?? maker);
      return reply.code(201).send({ ...token, token: secret });
    },
  );

  app.delete<{ Params: Static<typeof TokenParams> }>(
    '/tokens/:id',
    {
      config,
      schema: { summary: 'Revoke a token: it counts no more', tags, params: TokenParams, response: { 200: TokenView } },
    },
    async (request, reply) => {
      const { id } = request.params;
      request.audit.subject = `token:${id}`;
      const gone = await tokens.revoke(id);
      if (gone === null) return sendProblem(reply, 'TOKEN_UNKNOWN', `there is no token ${id}`);
      return gone;
    },
  );
}
