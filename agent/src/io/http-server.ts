import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { StreamError } from './annotated-stream.js';
import type { BoardView } from './board-view.js';
import { checkAccess, checkOrigin, isLoopback } from './http-guard.js';
import { type Exchange, readBody, SECURITY_HEADERS, send, sendJson, sendProblem } from './http-reply.js';
import { LOCAL_PAGE, LOCAL_PAGE_POLICY } from './local-page.js';

export type { BoardView, Health, ModelInfo, Prediction } from './board-view.js';

export interface HttpServerOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Asked of every request; needed to listen beyond loopback. */
  token?: string;
}

export type HttpServerErrorCode = 'TOKEN_REQUIRED' | 'ADDRESS_IN_USE' | 'ADDRESS_REFUSED';

export class HttpServerError extends Error {
  constructor(
    readonly code: HttpServerErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'HttpServerError';
  }
}

export interface RunningHttpServer {
  port: number;
  close(): Promise<void>;
}

const MAX_VIEWERS = 16;
const MAX_PICTURE_BYTES = 8 * 1024 * 1024;
const DEFAULT_EVENTS = 50;
const MAX_EVENTS = 500;

type Handler = (exchange: Exchange, board: BoardView) => void | Promise<void>;

const ROUTES: Readonly<Record<string, Readonly<Partial<Record<'GET' | 'POST', Handler>>>>> = {
  '/': { GET: localPage },
  '/health': { GET: health },
  '/stream.mjpeg': { GET: mjpeg },
  '/snapshot.jpg': { GET: snapshot },
  '/events': { GET: events },
  '/model/info': { GET: modelInfo },
  '/metrics': {
    GET: (exchange, board) => send(exchange, 200, 'text/plain; version=0.0.4; charset=utf-8', board.metrics()),
  },
  '/predict': { POST: predict },
};

/** Throws HttpServerError TOKEN_REQUIRED for an address that other machines reach, without a token. */
export function refuseOpenAddress(host: string, token: string | undefined): void {
  if (token !== undefined || isLoopback(host)) return;
  throw new HttpServerError(
    'TOKEN_REQUIRED',
    `http.host: "${host}" is reachable from other machines; set http.token, or use 127.0.0.1`,
  );
}

/** Listens and answers until closed. Throws HttpServerError when it cannot or must not. */
export async function startHttpServer(options: HttpServerOptions, board: BoardView): Promise<RunningHttpServer> {
  refuseOpenAddress(options.host, options.token);
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5000, maxHeaderSize: 16_384 },
    (request, response) => void answer(request, response, options, board),
  );
  server.maxConnections = 128;
  server.on('upgrade', (request, socket, head) => upgrade(request, socket, head, options, board));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      board.stream.close();
      await board.live.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function listenError(error: NodeJS.ErrnoException, { host, port }: HttpServerOptions): HttpServerError {
  if (error.code === 'EADDRINUSE') {
    return new HttpServerError(
      'ADDRESS_IN_USE',
      `http.port: ${host}:${port} is taken by another program; choose another port`,
    );
  }
  return new HttpServerError(
    'ADDRESS_REFUSED',
    `http.host: cannot listen on ${host}:${port} (${error.code}); choose an address of this machine`,
  );
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpServerOptions,
  board: BoardView,
): Promise<void> {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
  const url = parseUrl(request);
  const exchange: Exchange = {
    request,
    response,
    url: url ?? new URL('http://agent/'),
    headOnly: request.method === 'HEAD',
  };
  if (url === null) return sendProblem(exchange, 400, 'BAD_REQUEST', 'the request target is no path');
  const refusal = checkAccess(request, url, options.token);
  if (refusal !== null) {
    if (refusal.status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="vigie"');
    return sendProblem(exchange, refusal.status, refusal.code, refusal.detail);
  }
  const route = Object.hasOwn(ROUTES, url.pathname) ? ROUTES[url.pathname] : undefined;
  if (route === undefined)
    return sendProblem(exchange, 404, 'NOT_FOUND', `there is nothing at ${url.pathname.slice(0, 100)}`);
  const method = exchange.headOnly ? 'GET' : request.method;
  const handler = method === 'GET' || method === 'POST' ? route[method] : undefined;
  if (handler === undefined) {
    response.setHeader('Allow', route.GET === undefined ? 'POST' : 'GET, HEAD');
    return sendProblem(exchange, 405, 'METHOD_NOT_ALLOWED', `${request.method} is not offered here`);
  }
  try {
    await handler(exchange, board);
  } catch (error) {
    if (!response.headersSent) sendProblem(exchange, 500, 'INTERNAL', (error as Error).message);
    else response.destroy();
  }
}

function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: HttpServerOptions,
  board: BoardView,
): void {
  socket.on('error', () => socket.destroy());
  const url = parseUrl(request);
  const refusal =
    url === null || url.pathname !== '/live'
      ? { status: 404, detail: 'there is nothing to upgrade here' }
      : (checkAccess(request, url, options.token) ?? checkOrigin(request));
  if (refusal !== null) {
    const body = `${JSON.stringify(refusal)}\n`;
    const lines = [
      `HTTP/1.1 ${refusal.status} Refused`,
      'Connection: close',
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
    return;
  }
  board.live.accept(request, socket, head);
}

function parseUrl(request: IncomingMessage): URL | null {
  const target = request.url ?? '';
  // Resolved against a fixed base: the Host header is input like any other, and is judged by the guard.
  return target.startsWith('/') && !target.startsWith('//') && URL.canParse(target, 'http://agent')
    ? new URL(target, 'http://agent')
    : null;
}

function localPage(exchange: Exchange): void {
  exchange.response.setHeader('Content-Security-Policy', LOCAL_PAGE_POLICY);
  send(exchange, 200, 'text/html; charset=utf-8', LOCAL_PAGE);
}

function health(exchange: Exchange, board: BoardView): void {
  const state = board.health();
  sendJson(exchange, state.ok ? 200 : 503, state);
}

function mjpeg(exchange: Exchange, board: BoardView): void {
  if (exchange.headOnly) {
    exchange.response.writeHead(200, {
      'Content-Type': 'multipart/x-mixed-replace; boundary=vigie',
      'Cache-Control': 'no-store',
    });
    exchange.response.end();
  } else if (board.stream.viewerCount >= MAX_VIEWERS) {
    sendProblem(exchange, 503, 'TOO_MANY_VIEWERS', `${MAX_VIEWERS} viewers are connected`);
  } else {
    board.stream.addViewer(exchange.response);
  }
}

async function snapshot(exchange: Exchange, board: BoardView): Promise<void> {
  try {
    send(exchange, 200, 'image/jpeg', await board.stream.snapshot());
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    sendProblem(exchange, 503, error.code, error.message);
  }
}

function events(exchange: Exchange, board: BoardView): void {
  const given = exchange.url.searchParams.get('limit');
  const limit = given === null ? DEFAULT_EVENTS : Number(given);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_EVENTS) {
    const detail = `limit: "${given?.slice(0, 50)}" is no integer from 1 to ${MAX_EVENTS}`;
    sendProblem(exchange, 400, 'BAD_LIMIT', detail);
    return;
  }
  sendJson(exchange, 200, { items: board.recentEvents(limit) });
}

function modelInfo(exchange: Exchange, board: BoardView): void {
  const info = board.modelInfo();
  if (info === null) sendProblem(exchange, 503, 'NO_MODEL', 'no model is live yet');
  else sendJson(exchange, 200, info);
}

async function predict(exchange: Exchange, board: BoardView): Promise<void> {
  if (board.predict === undefined)
    return sendProblem(exchange, 501, 'NOT_OFFERED', 'this agent does not take pictures');
  const body = await readBody(exchange.request, MAX_PICTURE_BYTES);
  if (!body.ok) {
    exchange.response.setHeader('Connection', 'close');
    return sendProblem(exchange, body.status, body.code, `send one JPEG or PNG of at most ${MAX_PICTURE_BYTES} bytes`);
  }
  try {
    sendJson(exchange, 200, await board.predict(body.bytes));
  } catch (error) {
    sendProblem(exchange, 422, 'PICTURE_UNREADABLE', (error as Error).message);
  }
}
