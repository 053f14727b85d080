import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';

/** Whom a board believes in TLS. */
export interface ServerTrust {
  /** Certificates (PEM) of the private CA: nobody else vouches for a server of the fleet. */
  authorities: readonly string[];
}

/** The same, and what the board shows; an Identity is one. */
export interface TlsCredentials extends ServerTrust {
  /** The board's certificate and private key, PEM. */
  certificate: string;
  privateKey: string;
}

export type FleetHttpsErrorCode =
  /** Another origin than the fleet server's: the board's certificate is not shown there. */
  | 'URL_FOREIGN'
  | 'UNREACHABLE'
  /** Silence for `idleMs`. */
  | 'TIMED_OUT'
  /** The server's certificate is not of our CA. */
  | 'SERVER_UNTRUSTED'
  /** It is for other host names. */
  | 'SERVER_NAME_MISMATCH'
  /** It is not valid at this board's clock. */
  | 'CLOCK_OR_CERTIFICATE_WRONG'
  /** The server does not take our certificate. */
  | 'CERTIFICATE_REFUSED'
  | 'ANSWER_TOO_LARGE'
  /** The connection broke within the answer. */
  | 'CUT';

/** Why there is no answer of the fleet server. */
export class FleetHttpsError extends Error {
  override readonly name = 'FleetHttpsError';
  readonly code: FleetHttpsErrorCode;

  constructor(code: FleetHttpsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface FleetHttpsOptions {
  /** Origin of the fleet server, `https://host:port`. */
  baseUrl: string;
  /** Asked at each request: a renewed certificate is used from the next connection on. */
  credentials: () => ServerTrust & Partial<TlsCredentials>;
  /** Longest silence of the peer before a request is given up, ms. */
  idleMs?: number;
  /** Connections at the same time. */
  maxSockets?: number;
}

export interface FleetRequest {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT';
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
}

export interface FleetAnswer {
  status: number;
  headers: IncomingHttpHeaders;
}

const IDLE_MS = 15_000;
const MAX_BYTES = 1024 * 1024;

/**
 * HTTPS to the fleet server with the board's certificate, over kept connections. Redirects are not followed and any
 * status is an answer: what it means is the caller's business. Throws FleetHttpsError, or the signal's reason.
 */
export class FleetHttps {
  readonly #options: FleetHttpsOptions;
  #connections: { credentials: ServerTrust; agent: Agent } | null = null;

  constructor(options: FleetHttpsOptions) {
    this.#options = options;
  }

  /** The whole answer in memory; one over `maxBytes` (default 1 MiB) is refused. `target`: path or URL of the same origin. */
  async request(
    target: string,
    options: FleetRequest & { maxBytes?: number } = {},
  ): Promise<FleetAnswer & { body: Buffer }> {
    const { status, headers, stream } = await this.open(target, options);
    const maxBytes = options.maxBytes ?? MAX_BYTES;
    const parts: Buffer[] = [];
    let length = 0;
    try {
      for await (const part of stream as AsyncIterable<Buffer>) {
        length += part.length;
        if (length > maxBytes) throw new FleetHttpsError('ANSWER_TOO_LARGE', `${target}: more than ${maxBytes} bytes`);
        parts.push(part);
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error instanceof FleetHttpsError ? error : cut(target, error as Error);
    }
    return { status, headers, body: Buffer.concat(parts) };
  }

  /**
   * The answer as a stream as soon as its headers are here. Read it to its end or destroy it: it holds a connection. It
   * fails with FleetHttpsError `TIMED_OUT` after a silence, with the signal's reason, or with a socket's error.
   */
  async open(target: string, options: FleetRequest = {}): Promise<FleetAnswer & { stream: IncomingMessage }> {
    const url = this.#resolve(target);
    const stream = await this.#send(url, options, true);
    return { status: stream.statusCode as number, headers: stream.headers, stream };
  }

  /** Ends all connections. */
  close(): void {
    this.#connections?.agent.destroy();
    this.#connections = null;
  }

  #resolve(target: string): URL {
    const base = new URL(this.#options.baseUrl);
    const url = new URL(target, base);
    if (base.protocol === 'https:' && url.origin === base.origin) return url;
    throw new FleetHttpsError('URL_FOREIGN', `${url.origin} is not the fleet server, ${base.origin}`);
  }

  #agent(): Agent {
    const credentials = this.#options.credentials();
    if (this.#connections?.credentials === credentials) return this.#connections.agent;
    // Requests under way on the old connections go on; idle ones are of no use any more.
    for (const socket of Object.values(this.#connections?.agent.freeSockets ?? {}).flat()) socket?.destroy();
    const agent = new Agent({
      keepAlive: true,
      maxSockets: this.#options.maxSockets ?? 4,
      cert: credentials.certificate,
      key: credentials.privateKey,
      ca: [...credentials.authorities],
      minVersion: 'TLSv1.2',
    });
    this.#connections = { credentials, agent };
    return agent;
  }

  #send(url: URL, options: FleetRequest, mayRepeat: boolean): Promise<IncomingMessage> {
    const { method = 'GET', headers, body, signal } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const idleMs = this.#options.idleMs ?? IDLE_MS;
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const request = httpsRequest(url, {
        agent: this.#agent(),
        method,
        headers: { ...headers, ...length },
        timeout: idleMs,
      });
      let answer: IncomingMessage | null = null;
      const end = (reason: Error): void => void (answer ?? request).destroy(reason);
      const abort = (): void => end(signal?.reason as Error);
      const settled = (): void => signal?.removeEventListener('abort', abort);
      signal?.addEventListener('abort', abort, { once: true });
      request.on('timeout', () => end(new FleetHttpsError('TIMED_OUT', `${url.host}: no byte for ${idleMs} ms`)));
      request.once('close', settled);
      request.once('response', (response) => {
        answer = response;
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server may close an idle connection just when it is used again.
        const stale = request.reusedSocket && error.code === 'ECONNRESET' && answer === null && method !== 'POST';
        if (stale && mayRepeat) this.#send(url, options, false).then(resolve, reject);
        else reject(signal?.aborted ? signal.reason : translate(url, error));
      });
      request.end(body);
    });
  }
}

function cut(target: string, error: Error): FleetHttpsError {
  return new FleetHttpsError('CUT', `${target}: the answer broke off (${error.message})`, { cause: error });
}

/** What went wrong with a server's certificate, from Node's code; null: something else did. */
function trustFault(nodeCode: string | undefined, host: string): [FleetHttpsErrorCode, string] | null {
  switch (nodeCode) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return [
        'SERVER_NAME_MISMATCH',
        `its certificate is not for the name ${host}; add that to tls.names of the server, or use a name it has`,
      ];
    case 'CERT_NOT_YET_VALID':
    case 'CERT_HAS_EXPIRED':
      return [
        'CLOCK_OR_CERTIFICATE_WRONG',
        `its certificate is not valid at this board's clock (${new Date().toISOString()}); set the clock right`,
      ];
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_PURPOSE':
    case 'INVALID_CA':
      return ['SERVER_UNTRUSTED', `its certificate is not of this fleet's authority (${nodeCode})`];
    default:
      return null;
  }
}

function translate(url: URL, error: NodeJS.ErrnoException): Error {
  if (error instanceof FleetHttpsError) return error;
  const fault = trustFault(error.code, url.hostname);
  if (fault !== null) return new FleetHttpsError(fault[0], `${url.host}: ${fault[1]}`, { cause: error });
  if (/^ERR_SSL_.*ALERT/.test(error.code ?? '')) {
    const message = `${url.host}: does not take this board's certificate (${error.code})`;
    return new FleetHttpsError('CERTIFICATE_REFUSED', message, { cause: error });
  }
  return new FleetHttpsError('UNREACHABLE', `${url.host}: ${error.code ?? error.message}`, { cause: error });
}
