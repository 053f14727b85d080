import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from './api-error.js';

/** A server that says nothing for so long is given up; the verification of an upload is silent for minutes. */
const SILENCE_MS = 900_000;
/** Largest answer that is held in memory. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

export interface ApiClientOptions {
  /** Certificate of the authority that the server's certificate must come from, PEM; null: those of the system. */
  authority?: string | null;
}

export interface ApiRequest {
  headers?: Record<string, string | number>;
  body?: Readable | Buffer | string;
}

/** The REST API for the `vigie` command. Refusals and faults of the network come as ApiError. */
export class ApiClient {
  constructor(
    readonly server: string,
    private readonly token: string | null,
    private readonly options: ApiClientOptions = {},
  ) {}

  async get<T>(path: string): Promise<T> {
    return this.#json('GET', path);
  }

  async post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#json('POST', path, body, headers);
  }

  async put<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#json('PUT', path, body, headers);
  }

  async patch<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return this.#json('PATCH', path, body, headers);
  }

  async delete<T>(path: string): Promise<T> {
    return this.#json('DELETE', path);
  }

  /** Sends a file as it stands on the disk, without holding it in memory. `onProgress`: bytes that went out, of so many. */
  async upload<T>(path: string, file: string, onProgress?: (sent: number, bytes: number) => void): Promise<T> {
    const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw new ApiError('FILE_UNREADABLE', `${file}: cannot be read (${error.code}); name an existing .vigie file`);
    });
    const body = createReadStream(file);
    let sent = 0;
    if (onProgress !== undefined) {
      body.on('data', (part) => {
        sent += part.length;
        onProgress(sent, size);
      });
    }
    const headers = { 'content-type': 'application/octet-stream', 'content-length': size };
    return (await parsed(await this.send('POST', path, { headers, body }))) as T;
  }

  /**
   * One request under `/api/v1`; resolves with the answer as a stream when it is a 2xx. Throws ApiError: the server's
   * code and line where it refused, SERVER_UNREACHABLE where nobody answered.
   */
  async send(method: string, path: string, { headers = {}, body }: ApiRequest = {}): Promise<IncomingMessage> {
    const response = await this.#exchange(method, new URL(`/api/v1${path}`, this.server), headers, body);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    let problem: { code?: string; detail?: string } = {};
    try {
      problem = JSON.parse((await readAll(response)).toString()) as typeof problem;
    } catch {
      // An answer that is not ours, e.g. of a proxy.
    }
    throw new ApiError(problem.code ?? `HTTP_${status}`, problem.detail ?? `${this.server} answered ${status}`, status);
  }

  async #json<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    if (body === undefined) return (await parsed(await this.send(method, path, { headers }))) as T;
    const text = Buffer.from(JSON.stringify(body));
    const all = { 'content-type': 'application/json', 'content-length': text.length, ...headers };
    return (await parsed(await this.send(method, path, { headers: all, body: text }))) as T;
  }

  #exchange(
    method: string,
    url: URL,
    headers: Record<string, string | number>,
    body: Readable | Buffer | string | undefined,
  ): Promise<IncomingMessage> {
    const secure = url.protocol === 'https:';
    const authority = this.options.authority ?? null;
    const authorization = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    return new Promise((resolve, reject) => {
      let answered = false;
      const request = (secure ? httpsRequest : httpRequest)(
        url,
        {
          ...{ method, agent: false, headers: { ...headers, ...authorization } },
          ...(secure && authority !== null ? { ca: authority } : {}),
        },
        (response) => {
          answered = true;
          resolve(response);
        },
      );
      request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`silent for ${SILENCE_MS / 1000} s`)));
      // A server that refuses closes before it has read the whole body: what it said counts, not the broken pipe.
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (!answered) reject(this.#unreachable(error));
      });
      if (body instanceof Readable) {
        pipeline(body, request).catch((error: NodeJS.ErrnoException) => {
          if (!answered) reject(this.#unreachable(error));
        });
      } else request.end(body);
    });
  }

  #unreachable(error: NodeJS.ErrnoException): ApiError {
    const code = error.code ?? '';
    if (UNTRUSTED.has(code)) {
      return new ApiError(
        'SERVER_UNTRUSTED',
        `${this.server}: its certificate comes from no authority that is known here (${code}); ` +
          "name the fleet's with --ca FILE (DATA/pki/authority.pem on the server) or pin it once with `vigie login`",
      );
    }
    const said = code || error.message || 'failed';
    return new ApiError('SERVER_UNREACHABLE', `${this.server}: no answer (${said}); is the server running there?`);
  }
}

/** Codes of OpenSSL for a chain that ends nowhere. */
const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new ApiError('ANSWER_TOO_LARGE', `the answer has over ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The answer's JSON document; null where it has none (204). */
async function parsed(response: IncomingMessage): Promise<unknown> {
  const text = (await readAll(response)).toString();
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError('ANSWER_INVALID', `the server answered ${response.statusCode} with something that is not JSON`);
  }
}
