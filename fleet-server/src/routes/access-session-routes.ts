import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Credential, mayActAs } from '../roles.js';
import { PasswordsBusyError } from '../services/passwords.js';
import { csrfToken, type SessionService } from '../services/sessions.js';
import type { UserService } from '../services/users.js';
import { CreationKey, creationKey, Id, LoginView, Password, SessionView } from './access-schemas.js';
import { foreignOrigin, isSecure, sessionCookie } from './api-gate.js';
import { auditEntryOf } from './audit-hook.js';
import { Paging, pageOf, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const LoginRequest = Type.Object(
  { user: Type.String({ minLength: 1, maxLength: 63, description: 'any case' }), password: Password },
  Strict,
);
const PasswordRequest = Type.Object({ current: Password, password: Password }, Strict);
const SessionQuery = Type.Object({ ...pageParameters(200) }, Strict);
const SessionParams = Type.Object({ id: Id });
const PAGING = new Paging('sessions', CreationKey);

export interface SessionRouteOptions {
  sessions: SessionService;
  users: UserService;
  publicUrls: readonly string[];
  tls: boolean;
  /** Life of a login, s. */
  maxAgeSeconds: number;
  now: () => Date;
}

/** Logins with a password. */
export function sessionRoutes(app: FastifyInstance, options: SessionRouteOptions): void {
  const { sessions, users, publicUrls, tls, maxAgeSeconds, now } = options;
  const cookie = (request: FastifyRequest, value: string, age: number) => {
    const secure = isSecure(request, publicUrls, tls);
    return `${sessionCookie(secure)}=${value}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`;
  };

  app.post<{ Body: Static<typeof LoginRequest> }>(
    '/session',
    {
      config: { open: true },
      bodyLimit: 4096,
      schema: {
        summary: 'Log in: sets the cookie of a session',
        tags: ['access'],
        body: LoginRequest,
        response: { 200: LoginView },
      },
    },
    async (request, reply) => {
      const foreign = foreignOrigin(request, publicUrls, tls);
      if (foreign !== null) return sendProblem(reply, 'CSRF_INVALID', foreign);
      // The service writes every line itself: of failures too.
      request.audit.written = true;
      const { ip: address, headers } = request;
      const given = { ...request.body, address, userAgent: headers['user-agent'] ?? '' };
      const result = await busyIsProblem(reply, () =>
        sessions.login(given, (rest) => auditEntryOf(request, now(), rest)),
      );
      if (result === null) return reply;
      if (!result.ok) {
        if (result.code === 'TOO_MANY_ATTEMPTS') reply.header('retry-after', String(result.retryAfterSeconds));
        return sendProblem(reply, result.code, result.detail);
      }
      reply.header('set-cookie', cookie(request, result.secret, maxAgeSeconds));
      return viewLogin(result.session);
    },
  );

  app.get(
    '/session',
    { schema: { summary: 'Who I am, by a token or a login', tags: ['access'], response: { 200: LoginView } } },
    async ({ credential }) => viewLogin(credential as Credential),
  );

  app.delete(
    '/session',
    { config: { role: 'viewer' }, schema: { summary: 'Log out', tags: ['access'], response: { 204: Type.Null() } } },
    async (request, reply) => {
      const { id, kind } = request.credential as Credential;
      if (kind !== 'session') return sendProblem(reply, 'SESSION_UNKNOWN', 'a token is no login; revoke it instead');
      request.audit.subject = bare(id);
      await sessions.end(bare(id));
      return reply
        .header('set-cookie', cookie(request, '', 0))
        .code(204)
        .send();
    },
  );

  app.post<{ Body: Static<typeof PasswordRequest> }>(
    '/session/password',
    {
      config: { role: 'viewer' },
      bodyLimit: 4096,
      schema: {
        summary: 'Change my password; my other sessions end',
        tags: ['access'],
        body: PasswordRequest,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id, kind, actor } = request.credential as Credential;
      if (kind !== 'session') return sendProblem(reply, 'SESSION_UNKNOWN', 'a token has no password; log in');
      request.audit.subject = actor.name;
      const result = await busyIsProblem(reply, () => users.changeOwnPassword(actor.name, bare(id), request.body));
      if (result === null) return reply;
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(204).send();
    },
  );

  app.get<{ Querystring: Static<typeof SessionQuery> }>(
    '/sessions',
    {
      schema: {
        summary: 'Live sessions, newest first: mine, or for admins all',
        tags: ['access'],
        querystring: SessionQuery,
        response: { 200: pageOf(SessionView) },
      },
    },
    async ({ query, credential }) => {
      const { actor, kind } = credential as Credential;
      const asked = PAGING.read(query);
      if (!mayActAs(actor, 'admin') && kind === 'token') return PAGING.page([], asked, creationKey);
      const owner = mayActAs(actor, 'admin') ? null : actor.name;
      return PAGING.page(await sessions.list(owner, asked.after, asked.limit + 1), asked, creationKey);
    },
  );

  app.delete<{ Params: Static<typeof SessionParams> }>(
    '/sessions/:id',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'End a session: one of mine, or for admins any',
        tags: ['access'],
        params: SessionParams,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { actor, kind } = request.credential as Credential;
      const found = await sessions.find(id);
      const mine = found !== null && kind === 'session' && found.user === actor.name;
      // One that is somebody else's is none for him.
      if (found === null || !(mine || mayActAs(actor, 'admin')))
        return sendProblem(reply, 'SESSION_UNKNOWN', `there is no session ${id}`);
      request.audit.details = { user: found.user };
      await sessions.end(id);
      return reply.code(204).send();
    },
  );
}

function viewLogin({ kind, actor, expiresAt, secret }: Credential): Static<typeof LoginView> {
  return {
    name: actor.name,
    role: actor.role,
    kind,
    expiresAt: expiresAt?.toISOString() ?? null,
    csrfToken: kind === 'session' ? csrfToken(secret) : null,
  };
}

/** `session:ID` without its kind. */
const bare = (credentialId: string) => credentialId.slice(credentialId.indexOf(':') + 1);

/** Null: too many passwords are checked at this moment, and the answer says so. */
export async function busyIsProblem<T>(reply: FastifyReply, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PasswordsBusyError)) throw error;
    sendProblem(reply, 'SERVER_BUSY', 'too many logins at the same moment; try again');
    return null;
  }
}
