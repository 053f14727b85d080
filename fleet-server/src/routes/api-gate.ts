import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Credential, mayActAs, type Role } from '../roles.js';
import { networkOf, type RateLimit } from '../services/rate-limit.js';
import { csrfToken } from '../services/sessions.js';
import { sendProblem } from './problem.js';

/** Header that a page sends with every change: the token that its login gave. */
export const CSRF_HEADER = 'x-vigie-csrf';
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

export interface ApiGate {
  byToken(secret: string): Promise<Credential | null>;
  bySession(secret: string): Promise<Credential | null>;
  limits: {
    /** Per token or login. */
    credential: RateLimit;
    /** Per network, of those that show nothing. */
    anonymous: RateLimit;
    /** Per network, of tokens and logins that do not count. */
    refused: RateLimit;
  };
  /** Addresses under which pages of this server are reached besides the one in the request. */
  publicUrls: readonly string[];
}

/** Name of the cookie of a login. Browsers take a name with this prefix only over TLS, for this host and all of it. */
export function sessionCookie(secure: boolean): string {
  return secure ? '__Host-vigie_session' : 'vigie_session';
}

/** Came this request over TLS: to this server, to a proxy that is believed, or to an address that only TLS leads to? */
export function isSecure({ protocol }: FastifyRequest, publicUrls: readonly string[], tls: boolean): boolean {
  return tls || protocol === 'https' || publicUrls.some((url) => url.startsWith('https:'));
}

/** Lets in who may ask. Runs before the body is read. */
export function installGate(app: FastifyInstance, gate: ApiGate, tls: boolean): void {
  app.addHook('onRequest', async (request, reply) => {
    const { open, device } = request.routeOptions.config;
    // Boards were let in by their certificates before, and have limits of their own.
    if (device !== undefined || reply.sent) return;
    const network = networkOf(request.ip);
    if (!isGuarded(request) || open === true) return limited(reply, gate.limits.anonymous.take(network));
    const shown = readCredential(request, sessionCookie(isSecure(request, gate.publicUrls, tls)));
    if (shown === null) {
      const refusal = limited(reply, gate.limits.anonymous.take(network));
      return (
        refusal ?? sendProblem(reply, 'UNAUTHORIZED', 'send an operator\'s token as "Authorization: Bearer TOKEN"')
      );
    }
    const credential = await (shown.kind === 'token' ? gate.byToken(shown.secret) : gate.bySession(shown.secret));
    if (credential === null) {
      const refusal = limited(reply, gate.limits.refused.take(network));
      const what = shown.kind === 'token' ? 'the token is' : 'the login is';
      return refusal ?? sendProblem(reply, 'UNAUTHORIZED', `${what} unknown, expired or revoked; get a new one`);
    }
    const refusal = limited(reply, gate.limits.credential.take(credential.id));
    if (refusal !== undefined) return refusal;
    request.credential = credential;
    request.actor = credential.actor;
    if (credential.kind === 'session' && !SAFE.includes(request.method)) {
      const fault = crossSiteFault(request, credential, gate.publicUrls, tls);
      if (fault !== null) return sendProblem(reply, 'CSRF_INVALID', fault);
    }
    const wanted = roleOf(request.method, request.routeOptions.config.role);
    if (!mayActAs(credential.actor, wanted)) {
      const { name, role } = credential.actor;
      return sendProblem(reply, 'FORBIDDEN', `${name} has the role ${role}, this needs ${wanted}`);
    }
  });
}

/** By the route that was found, never by the address alone: `/%61pi/v1/devices` leads to the same handler. */
export function isGuarded({ url, routeOptions }: FastifyRequest): boolean {
  return (routeOptions.url ?? url).startsWith('/api/');
}

/** Who may use a route: what it says, else `viewer` to read and `operator` to change. */
export function roleOf(method: string, role: Role | undefined): Role {
  return role ?? (method === 'GET' || method === 'HEAD' ? 'viewer' : 'operator');
}

function limited(reply: FastifyReply, waitSeconds: number): FastifyReply | undefined {
  if (waitSeconds === 0) return undefined;
  reply.header('retry-after', String(waitSeconds));
  return sendProblem(reply, 'RATE_LIMITED', `too many requests; come back in ${waitSeconds} s`);
}

function readCredential(
  { headers }: FastifyRequest,
  cookie: string,
): { kind: 'token' | 'session'; secret: string } | null {
  if (headers.authorization !== undefined) {
    const secret = /^Bearer ([\w-]{16,200})$/i.exec(headers.authorization)?.[1];
    return secret === undefined ? null : { kind: 'token', secret };
  }
  for (const pair of (headers.cookie ?? '').split(';', 64)) {
    const at = pair.indexOf('=');
    const secret = pair.slice(at + 1).trim();
    if (pair.slice(0, at).trim() === cookie && /^[\w-]{16,200}$/.test(secret)) return { kind: 'session', secret };
  }
  return null;
}

/**
 * A browser sends the cookie along with whatever any page makes it send; only our own pages can read the token. `Origin` and
 * `Sec-Fetch-Site` are the browser's own word for where a request comes from.
 */
function crossSiteFault(
  request: FastifyRequest,
  credential: Credential,
  publicUrls: readonly string[],
  tls: boolean,
): string | null {
  const { headers } = request;
  const foreign = foreignOrigin(request, publicUrls, tls);
  if (foreign !== null) return foreign;
  const given = headers[CSRF_HEADER];
  const wanted = Buffer.from(csrfToken(credential.secret));
  const right =
    typeof given === 'string' &&
    Buffer.byteLength(given) === wanted.length &&
    timingSafeEqual(Buffer.from(given), wanted);
  return right ? null : `send the login's csrfToken as ${CSRF_HEADER} (GET /api/v1/session gives it again)`;
}

/** Why a browser's request does not come from a page of this server; null: it does, or no browser sent it. */
export function foreignOrigin(
  { headers, protocol }: FastifyRequest,
  publicUrls: readonly string[],
  tls: boolean,
): string | null {
  const { origin } = headers;
  if (origin !== undefined) {
    const own = [`${tls ? 'https' : protocol}://${headers.host}`, ...publicUrls.map((url) => new URL(url).origin)];
    return own.includes(origin) ? null : `the request comes from a page of ${JSON.stringify(origin.slice(0, 200))}`;
  }
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none' ? null : 'the request comes from another site';
}
