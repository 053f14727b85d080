import { type Static, Type } from '@sinclair/typebox';
import { EnrollRequest, RenewRequest } from '@vigie/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Tag } from '../devices/selector.js';
import type { PeerCertificate } from '../ports.js';
import type { EnrollmentService } from '../services/enrollment.js';
import { Problem, sendProblem } from './problem.js';

const DAY_SECONDS = 86_400;
const TokenRequest = Type.Object(
  {
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 90 * DAY_SECONDS })),
    uses: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, default: 1, description: 'boards that may come in by it' }),
    ),
    role: Type.Optional(
      Type.Union([Type.Literal('standard'), Type.Literal('lab')], {
        default: 'standard',
        description: 'lab: benchmarks releases that are not certified yet, and runs none of them',
      }),
    ),
    tags: Type.Optional(Type.Array(Tag, { maxItems: 32, description: 'given to each of its boards' })),
    approval: Type.Optional(Type.Boolean({ description: 'its boards wait for an operator' })),
    note: Type.Optional(Type.String({ maxLength: 1000 })),
  },
  { additionalProperties: false },
);
const TokenParams = Type.Object({ token: Type.String({ pattern: '^[0-9a-f]{16}$' }) });
/** Largest body of a board, bytes: a certificate request and a few names. */
const MAX_BODY_BYTES = 16_384;

/** How boards come in: a token, a certificate for it, and its renewal. */
export function enrollmentRoutes(app: FastifyInstance, enrollment: EnrollmentService): void {
  app.post<{ Body: Static<typeof TokenRequest> | null }>(
    '/enrollment-tokens',
    {
      schema: {
        summary: 'A token by which boards come in: one, unless it says more',
        body: Type.Union([TokenRequest, Type.Null(), Type.Undefined()]),
      },
    },
    async ({ body, actor }, reply) => {
      const { expiresInSeconds = DAY_SECONDS, tags = [], ...options } = body ?? {};
      const made = { ...options, tags: [...new Set(tags)].sort(), createdBy: actor?.name ?? 'system' };
      return reply.code(201).send(await enrollment.createToken(expiresInSeconds, made));
    },
  );

  app.get(
    '/enrollment-tokens',
    { schema: { summary: 'Enrolment tokens, the newest first; never their secrets' } },
    async () => ({
      items: await enrollment.listTokens(),
    }),
  );

  app.delete<{ Params: Static<typeof TokenParams> }>(
    '/enrollment-tokens/:token',
    { schema: { summary: 'No board comes in by this token any more', params: TokenParams } },
    async ({ params }, reply) => {
      if (!(await enrollment.revokeToken(params.token)))
        throw new Problem('TOKEN_UNKNOWN', `there is no enrolment token ${params.token}`);
      return reply.code(204).send();
    },
  );

  app.post<{ Body: EnrollRequest }>(
    '/enroll',
    {
      config: { open: true, secure: true },
      bodyLimit: MAX_BODY_BYTES,
      schema: { summary: 'A board trades a token for its certificate', body: EnrollRequest },
    },
    async (request, reply) => {
      const result = await enrollment.enroll(request.body, networkOf(request.ip), hostOf(request));
      if (result.ok) return result.response;
      if (result.code === 'TOO_MANY_ATTEMPTS') reply.header('retry-after', String(result.retryAfterSeconds));
      return sendProblem(reply, result.code, result.detail);
    },
  );

  app.post<{ Body: RenewRequest }>(
    '/renew',
    {
      config: { device: 'expired' },
      bodyLimit: MAX_BODY_BYTES,
      schema: { summary: 'A board gets its next certificate', body: RenewRequest },
    },
    async (request, reply) => {
      const result = await enrollment.renew(request.peer as PeerCertificate, request.body.csr);
      return result.ok ? result.response : sendProblem(reply, result.code, result.detail);
    },
  );

  app.get(
    '/identity',
    {
      config: { device: true },
      schema: { summary: 'Whom the server takes a board for: its first use makes a renewed certificate count' },
    },
    async (request) => {
      const { deviceId, serial, expiresAt } = request.peer as PeerCertificate;
      return { deviceId, serial, expiresAt: expiresAt.toISOString() };
    },
  );
}

/** Addresses of one network attempt as one: a /64 is what a single IPv6 host has. */
function networkOf(address: string): string {
  return address.includes('.') ? address : address.split(':').slice(0, 4).join(':');
}

/** The host name in the request's Host header, without its port. */
function hostOf(request: FastifyRequest): string {
  const host = /^(\[[0-9A-Fa-f:]+\]|[0-9A-Za-z._-]+)(:\d+)?$/.exec(request.headers.host ?? '')?.[1];
  return host ?? 'localhost';
}
