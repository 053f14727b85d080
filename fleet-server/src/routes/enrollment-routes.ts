import { type Static, Type } from '@sinclair/typebox';
import { EnrollRequest, RenewRequest } from '@vigie/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { PeerCertificate } from '../ports.js';
import type { EnrollmentService } from '../services/enrollment.js';
import { sendProblem } from './problem.js';

const DAY_SECONDS = 86_400;
const TokenRequest = Type.Object(
  {
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 90 * DAY_SECONDS })),
    role: Type.Optional(
      Type.Union([Type.Literal('standard'), Type.Literal('lab')], {
        description: 'lab: the board may benchmark releases that no gate has certified',
      }),
    ),
  },
  { additionalProperties: false },
);
/** Largest body of a board, bytes: a certificate request and a few names. */
const MAX_BODY_BYTES = 16_384;

/** How boards come in: a token, a certificate for it, and its renewal. */
export function enrollmentRoutes(app: FastifyInstance, enrollment: EnrollmentService): void {
  app.post<{ Body: Static<typeof TokenRequest> | null }>(
    '/enrollment-tokens',
    {
      schema: {
        summary: 'A single-use token for one board',
        body: Type.Union([TokenRequest, Type.Null(), Type.Undefined()]),
      },
    },
    async ({ body }, reply) =>
      reply.code(201).send(await enrollment.createToken(body?.expiresInSeconds ?? DAY_SECONDS, body?.role)),
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
