import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** A refusal of the server, or a server that does not answer: one line for the operator. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The REST API for the `vigie` command. */
export class ApiClient {
  constructor(
    private readonly server: string,
    private readonly token: string,
  ) {}

  async get<T>(path: string): Promise<T> {
    return this.#request(path, { method: 'GET' });
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    if (body === undefined) return this.#request(path, { method: 'POST' });
    return this.#request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Sends a file as it stands on the disk, without holding it in memory. */
  async upload<T>(path: string, file: string): Promise<T> {
    const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw new ApiError('FILE_UNREADABLE', `${file}: cannot be read (${error.code}); name an existing .vigie file`);
    });
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
    const body = Readable.toWeb(createReadStream(file)) as ReadableStream;
    return this.#request(path, { method: 'POST', headers, body, duplex: 'half' } as RequestInit);
  }

  async #request<T>(path: string, init: RequestInit): Promise<T> {
    const url = new URL(`/api/v1${path}`, this.server);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${this.token}` } });
    } catch (error) {
      const cause = (error as { cause?: NodeJS.ErrnoException }).cause;
      throw new ApiError(
        'SERVER_UNREACHABLE',
        `${this.server}: no answer (${cause?.code ?? cause?.message ?? 'failed'}); is the server running there?`,
      );
    }
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as T;
    let problem: { code?: string; detail?: string } = {};
    try {
      problem = JSON.parse(text) as typeof problem;
    } catch {
      // An answer that is not ours, e.g. of a proxy.
    }
    throw new ApiError(
      problem.code ?? `HTTP_${response.status}`,
      problem.detail ?? `${this.server} answered ${response.status}`,
    );
  }
}
