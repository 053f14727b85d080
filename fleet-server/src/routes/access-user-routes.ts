import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Actor } from '../roles.js';
import type { UserService } from '../services/users.js';
import { Password, RoleName, UserName, UserView } from './access-schemas.js';
import { busyIsProblem } from './access-session-routes.js';
import { Paging, pageOf, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const NewUser = Type.Object({ name: UserName, role: RoleName, password: Password }, Strict);
const UserChange = Type.Object(
  {
    role: Type.Optional(RoleName),
    password: Type.Optional(Password),
    disabled: Type.Optional(Type.Boolean({ description: 'may not log in' })),
  },
  { ...Strict, minProperties: 1 },
);
const UserParams = Type.Object({ name: UserName });
const UserQuery = Type.Object({ ...pageParameters(200) }, Strict);
const PAGING = new Paging('users', UserName);

/** People who may log in: for admins. */
export function userRoutes(app: FastifyInstance, users: UserService): void {
  const config = { role: 'admin' } as const;
  const tags = ['access'];

  app.get<{ Querystring: Static<typeof UserQuery> }>(
    '/users',
    { config, schema: { summary: 'Users by name', tags, querystring: UserQuery, response: { 200: pageOf(UserView) } } },
    async ({ query }) => {
      const asked = PAGING.read(query);
      return PAGING.page(await users.list(asked.after, asked.limit + 1), asked, ({ name }) => name);
    },
  );

  app.post<{ Body: Static<typeof NewUser> }>(
    '/users',
    {
      config,
      bodyLimit: 4096,
      schema: { summary: 'Let somebody log in', tags, body: NewUser, response: { 201: UserView } },
    },
    async (request, reply) => {
      const { name, role } = request.body;
      Object.assign(request.audit, { subject: name, details: { role } });
      const by = (request.actor as Actor).name;
      const result = await busyIsProblem(reply, () => users.create(request.body, by));
      if (result === null) return reply;
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(201).send(result.user);
    },
  );

  app.get<{ Params: Static<typeof UserParams> }>(
    '/users/:name',
    { config, schema: { summary: 'One user', tags, params: UserParams, response: { 200: UserView } } },
    async ({ params }, reply) =>
      (await users.find(params.name)) ?? sendProblem(reply, 'USER_UNKNOWN', `no user is called ${params.name}`),
  );

  app.patch<{ Params: Static<typeof UserParams>; Body: Static<typeof UserChange> }>(
    '/users/:name',
    {
      config,
      bodyLimit: 4096,
      schema: {
        summary: 'Another role, another password, or no more logins; a new password ends the sessions',
        tags,
        params: UserParams,
        body: UserChange,
        response: { 200: UserView },
      },
    },
    async (request, reply) => {
      const { password, ...plain } = request.body;
      request.audit.details = { ...plain, ...(password === undefined ? {} : { password: 'changed' }) };
      const result = await busyIsProblem(reply, () => users.change(request.params.name, request.body));
      if (result === null) return reply;
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return result.user;
    },
  );

  app.delete<{ Params: Static<typeof UserParams> }>(
    '/users/:name',
    {
      config,
      schema: { summary: 'Remove a user with all sessions', tags, params: UserParams, response: { 204: Type.Null() } },
    },
    async ({ params: { name } }, reply) => {
      if (!(await users.remove(name))) return sendProblem(reply, 'USER_UNKNOWN', `no user is called ${name}`);
      return reply.code(204).send();
    },
  );
}
