import type { ServerOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import type { Logger } from 'pino';
import type { PeerCertificate } from '../ports.js';
import type { Admission } from '../services/access.js';
import { describeRoutes } from './openapi.js';
import { sendProblem } from './problem.js';
import { registerStatusPage } from './status-page.js';

/** Largest JSON body, bytes: an assignment of a few thousand devices. */
const MAX_JSON_BYTES = 512 * 1024;

export interface HttpServerOptions {
  log: Logger;
  version: string;
  /** Name of the operator whose token this is; null refuses it. */
  operator: (token: string) => Promise<string | null>;
  /** Null: without TLS, for this machine only. */
  tls: TlsOptions | null;
  /** Routes under `/api/v1`, all behind the operator's token but those with `config.open` or `config.device`. */
  api: (app: FastifyInstance) => void;
  /** Routes outside `/api/v1`, for everybody. */
  open?: (app: FastifyInstance) => void;
  /** `/health`: answers 200 when `ok`. */
  health: () => Promise<{ ok: boolean } & Record<string, unknown>>;
}

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
    /** For boards: needs a certificate that counts, or `expired` not long ago. */
    device?: true | 'expired';
  }
  interface FastifyRequest {
    /** Whose certificate the connection has; null on routes that are not for boards. */
    peer: PeerCertificate | null;
    /** Id of that board. */
    readonly device: string | null;
  }
  interface FastifySchema {
    /** One line of the OpenAPI document. */
    summary?: string;
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
    routerOptions: { maxParamLength: 200 },
    ...(options.tls === null ? {} : { https: listenerOptions(options.tls) }),
  } as FastifyServerOptions) as FastifyInstance;
  app.decorateRequest('peer', null);
  app.decorateRequest('device', {
    getter(this: FastifyRequest) {
      return this.peer?.deviceId ?? null;
    },
  });
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const check = TypeCompiler.Compile(schema as TSchema);
    return (given: unknown) => {
      // Queries arrive as text.
      const value = httpPart === 'querystring' ? Value.Convert(schema as TSchema, given) : given;
      const problem = check.Errors(value).First();
      if (problem === undefined) return { value };
      return {
        error: new Error(
          `${httpPart}${problem.path.replaceAll('/', '.')}: ${JSON.stringify(problem.value)?.slice(0, 80)}: ${problem.message}`,
        ),
      };
    };
  });
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, log));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, 'NOT_FOUND', `${request.method} ${request.url.slice(0, 200)} is not there`),
  );
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
    });
    const { open, secure, device } = request.routeOptions.config;
    if ((secure === true || device !== undefined) && options.tls === null) {
      return sendProblem(reply, 'TLS_REQUIRED', 'this is answered over TLS only: use the https address of the server');
    }
    if (device !== undefined) return admitDevice(options.tls as TlsOptions, request, reply, device === 'expired');
    // By the route that will answer, not by the spelling of the address: `/%61pi/` is `/api/`, too.
    if (!(request.routeOptions.url ?? request.url).startsWith('/api/') || open === true) return;
    const token = /^Bearer ([\w-]{16,200})$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || (await options.operator(token)) === null) {
      return sendProblem(reply, 'UNAUTHORIZED', 'send an operator\'s token as "Authorization: Bearer TOKEN"');
    }
  });
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
  options.open?.(app);
  await app.register(async (scope) => options.api(scope), { prefix: '/api/v1' });
  return app;
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
  if (error.validation !== undefined || error.code === 'FST_ERR_VALIDATION')
    return sendProblem(reply, 'REQUEST_INVALID', error.message);
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return sendProblem(reply, 'BODY_TOO_LARGE', `at most ${MAX_JSON_BYTES} bytes`);
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return sendProblem(reply, 'MEDIA_TYPE_UNSUPPORTED', error.message);
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) return sendProblem(reply, 'REQUEST_INVALID', error.message);
  log.error({ method: request.method, url: request.url, err: error }, 'request failed');
  return sendProblem(reply, 'INTERNAL', 'the server failed on this request; its log says why');
}
