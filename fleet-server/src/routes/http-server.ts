import type { ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import Fastify, {
  type ConnectionError,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import type { Logger } from 'pino';
import { isDatabaseUnavailable } from '../database-error.js';
import { ObjectStoreError, type PeerCertificate } from '../ports.js';
import type { Actor, Credential, Role } from '../roles.js';
import type { Admission } from '../services/access.js';
import { describeAnswers } from './answers/describe-answers.js';
import type { AuditNote } from './audit-hook.js';
import { registerDocsPage } from './docs-page.js';
import type { HeldKey } from './idempotency.js';
import { describeRoutes } from './openapi.js';
import { Problem, sendProblem } from './problem.js';
import { validatorCompiler } from './request-check.js';
import { registerStatusPage } from './status-page.js';

/** Largest JSON body, bytes: an assignment of a few thousand devices. */
const MAX_JSON_BYTES = 512 * 1024;

export interface HttpServerOptions {
  log: Logger;
  version: string;
  /** Addresses and networks of proxies whose X-Forwarded-For and -Proto are believed; of all others they are ignored. */
  trustedProxies: readonly string[];
  /** Adds what lets operators in, and notes what they do (`wireAccess`). */
  protect: (app: FastifyInstance, tls: boolean) => void;
  /** Null: without TLS, for this machine only. */
  tls: TlsOptions | null;
  /** Routes under `/api/v1`, all behind the operator's token but those with `config.open` or `config.device`. */
  api: (app: FastifyInstance) => void;
  /** Routes outside `/api/v1`, for everybody. */
  open?: (app: FastifyInstance) => void;
  /** `/health`: answers 200 when `ok`. */
  health: () => Promise<{ ok: boolean } & Record<string, unknown>>;
}

/** On every answer; a page sets its own policy of content. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

/** TLS with certificates of the fleet's authority. */
export interface TlsOptions {
  /** The server's key and certificate chain, PEM. */
  credentials: { key: string; cert: string };
  /** Certificate of the authority, PEM. */
  authority: string;
  peer: (socket: TLSSocket) => PeerCertificate | 'none' | 'untrusted';
  /** Does a board's certificate count? `expired`: also for a while after its end. */
  admit: (peer: PeerCertificate, expired: boolean) => Promise<Admission>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no operator's token. */
    open?: boolean;
    /** Is answered over TLS only. */
    secure?: boolean;
    /** Who may ask: by default `viewer` for GET and HEAD, `operator` for the rest. */
    role?: Role;
    /** For boards: needs a certificate that counts, or `expired` not long ago. */
    device?: true | 'expired';
  }
  interface FastifyRequest {
    /** Whose certificate the connection has; null on routes that are not for boards. */
    peer: PeerCertificate | null;
    /** Id of that board. */
    readonly device: string | null;
    /** Who asks; null on routes that are open or for boards. */
    actor: Actor | null;
    /** By which token or login. */
    credential: Credential | null;
    /** What the audit log should say besides. */
    audit: AuditNote;
    heldKey: HeldKey | null;
  }
  /** Its `response` (TypeBox schemas by status) describes and is tested against; answers are sent as they are. */
  interface FastifySchema {
    /** One line of the OpenAPI document. */
    summary?: string;
    description?: string;
    /** Group in the document; by default the first part of the path. */
    tags?: readonly string[];
    /** Is not in the document. */
    hide?: boolean;
    /** Media type of the answer where it is not JSON. */
    produces?: string;
    /** Media type of the body where it is not JSON. */
    consumes?: string;
  }
}

/** The API with its validation, authorisation, headers and error answers. */
export async function createHttpServer(options: HttpServerOptions): Promise<FastifyInstance> {
  const { log } = options;
  const app = Fastify({
    logger: false,
    bodyLimit: MAX_JSON_BYTES,
    forceCloseConnections: true,
    requestTimeout: 600_000,
    frameworkErrors: (error: FastifyError, _request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(reply.headers(SECURITY_HEADERS), 'REQUEST_INVALID', error.message),
    clientErrorHandler: refuseGarbage,
    routerOptions: { maxParamLength: 200 },
    trustProxy: options.trustedProxies.length === 0 ? false : [...options.trustedProxies],
    ...(options.tls === null ? {} : { https: listenerOptions(options.tls) }),
  } as FastifyServerOptions) as FastifyInstance;
  app.decorateRequest('peer', null);
  app.decorateRequest('actor', null);
  app.decorateRequest('credential', null);
  app.decorateRequest('audit', null as unknown as AuditNote);
  app.decorateRequest('heldKey', null);
  app.decorateRequest('device', {
    getter(this: FastifyRequest) {
      return this.peer?.deviceId ?? null;
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, log));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, 'NOT_FOUND', `${request.method} ${request.url.slice(0, 200)} is not there`),
  );
  app.addHook('onRequest', async (request, reply) => {
    request.audit = {};
    reply.headers(SECURITY_HEADERS);
    const { secure, device } = request.routeOptions.config;
    if ((secure === true || device !== undefined) && options.tls === null) {
      return sendProblem(reply, 'TLS_REQUIRED', 'this is answered over TLS only: use the https address of the server');
    }
    if (device !== undefined) return admitDevice(options.tls as TlsOptions, request, reply, device === 'expired');
  });
  describeAnswers(app);
  options.protect(app, options.tls !== null);
  app.addHook('onResponse', async (request, reply) => {
    log.debug(
      { method: request.method, url: request.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
  const openapi = describeRoutes(app, options.version);
  app.get('/health', async (_request, reply) => {
    const health = await options.health();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  app.get('/openapi.json', async () => openapi());
  registerStatusPage(app);
  registerDocsPage(app);
  options.open?.(app);
  await app.register(async (scope) => options.api(scope), { prefix: '/api/v1' });
  return app;
}

/** What is no HTTP gets one answer and the end of its connection. */
function refuseGarbage(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, line] =
    error.code === 'HPE_HEADER_OVERFLOW' ? [431, 'Request Header Fields Too Large'] : [400, 'Bad Request'];
  const problem = {
    type: 'about:blank',
    title: line,
    status,
    code: 'REQUEST_INVALID',
    detail: 'this is no HTTP request',
  };
  const body = JSON.stringify(problem);
  const head = `HTTP/1.1 ${status} ${line}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}`;
  socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
}

/** Boards may be asked for a certificate; who has none is an operator or about to enrol, and routes say what they need. */
function listenerOptions({ credentials, authority }: TlsOptions): ServerOptions {
  return {
    ...credentials,
    ca: authority,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 10_000,
  };
}

async function admitDevice(
  { peer, admit }: TlsOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  expired: boolean,
): Promise<FastifyReply | undefined> {
  const shown = peer(request.raw.socket as TLSSocket);
  if (shown === 'none')
    return sendProblem(reply, 'CERTIFICATE_REQUIRED', "show a board's certificate (enrolment gives one)");
  if (shown === 'untrusted')
    return sendProblem(
      reply,
      'CERTIFICATE_UNTRUSTED',
      "the certificate was not signed for a board by this fleet's authority",
    );
  const admission = await admit(shown, expired);
  if (!admission.ok) return sendProblem(reply, admission.code, admission.detail);
  request.peer = shown;
}

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  if (error instanceof Problem) return sendProblem(reply, error.code, error.message, error.extra);
  if (error.validation !== undefined || error.code === 'FST_ERR_VALIDATION')
    return sendProblem(reply, 'REQUEST_INVALID', error.message);
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return sendProblem(reply, 'BODY_TOO_LARGE', `at most ${MAX_JSON_BYTES} bytes`);
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return sendProblem(reply, 'MEDIA_TYPE_UNSUPPORTED', error.message);
  if (isDatabaseUnavailable(error)) {
    log.error({ method: request.method, url: request.url, err: error.message }, 'the database is not available');
    return sendProblem(reply, 'DATABASE_UNAVAILABLE', 'the database is not available; try again in a few seconds');
  }
  if (error instanceof ObjectStoreError) {
    log.error({ method: request.method, url: request.url, err: error.message }, 'the object store failed');
    return sendProblem(reply, 'OBJECT_STORE_UNAVAILABLE', 'the object store is not available; try again later');
  }
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) return sendProblem(reply, 'REQUEST_INVALID', error.message);
  log.error({ method: request.method, url: request.url, err: error }, 'request failed');
  return sendProblem(reply, 'INTERNAL', 'the server failed on this request; its log says why');
}
