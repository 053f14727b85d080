import { rm } from 'node:fs/promises';
import { Value } from '@sinclair/typebox/value';
import { type EnrollRequest, EnrollResponse } from '@vigie/protocol';
import { type Identity, readIdentity, trustedKeysOf, tufDirectory, writeIdentity } from './identity.js';

export type EnrollErrorCode =
  | 'ALREADY_ENROLLED'
  | 'SERVER_URL_INVALID'
  | 'SERVER_UNREACHABLE'
  | 'SERVER_REFUSED'
  | 'SERVER_ANSWER_INVALID';

/** Why a board could not be enrolled; the message names the way out. */
export class EnrollError extends Error {
  override readonly name = 'EnrollError';
  readonly code: EnrollErrorCode;

  constructor(code: EnrollErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface EnrollOptions {
  server: string;
  dataDirectory: string;
  request: EnrollRequest;
  /** Replace an identity that stands there. */
  force: boolean;
  timeoutMs?: number;
}

/** Trades a single-use token for this board's own credential and keeps it. Throws EnrollError. */
export async function enroll(options: EnrollOptions): Promise<Identity> {
  const { dataDirectory, request, force } = options;
  if (!force) {
    const present = await readIdentity(dataDirectory);
    if (present !== null) {
      throw new EnrollError(
        'ALREADY_ENROLLED',
        `${dataDirectory} holds the identity of "${present.deviceId}"; --force replaces it`,
      );
    }
  }
  const answer = await post(options);
  const identity: Identity = {
    ...answer,
    hardwareClass: request.hardwareClass,
    enrolledAt: new Date().toISOString(),
  };
  try {
    trustedKeysOf(identity);
  } catch (error) {
    throw new EnrollError('SERVER_ANSWER_INVALID', (error as Error).message, { cause: error });
  }
  // Metadata of another fleet would hold this one's back as a rollback.
  if (force) await rm(tufDirectory(dataDirectory), { recursive: true, force: true });
  await writeIdentity(dataDirectory, identity);
  return identity;
}

async function post({ server, request, timeoutMs = 15_000 }: EnrollOptions): Promise<EnrollResponse> {
  let url: URL;
  try {
    url = new URL('api/v1/enroll', server.endsWith('/') ? server : `${server}/`);
  } catch {
    throw new EnrollError('SERVER_URL_INVALID', `--server "${server}" is no URL; write e.g. https://fleet.example.org`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new EnrollError('SERVER_URL_INVALID', `--server "${server}" must begin with http:// or https://`);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(request),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await response.text();
  } catch (error) {
    const cause = (error as Error).cause;
    const reason = cause instanceof Error && cause.message !== '' ? cause.message : (error as Error).message;
    throw new EnrollError(
      'SERVER_UNREACHABLE',
      `${url.origin} does not answer (${reason}); check --server and the network`,
      {
        cause: error,
      },
    );
  }
  if (!response.ok) {
    throw new EnrollError(
      'SERVER_REFUSED',
      `${url.origin} refused with status ${response.status}: ${problemDetail(text)}; ask for a new enrollment token if this one was used or is too old`,
    );
  }
  const answer = parseJson(text);
  const problem = Value.Errors(EnrollResponse, answer).First();
  if (problem !== undefined) {
    throw new EnrollError('SERVER_ANSWER_INVALID', `${url.origin} answered ${problem.path || '/'}: ${problem.message}`);
  }
  const checked = answer as EnrollResponse;
  if (checked.deviceId !== request.deviceId) {
    throw new EnrollError('SERVER_ANSWER_INVALID', `asked for "${request.deviceId}", got "${checked.deviceId}"`);
  }
  return checked;
}

function problemDetail(text: string): string {
  const body = parseJson(text) as { detail?: unknown; title?: unknown } | undefined;
  const detail = body?.detail ?? body?.title;
  return typeof detail === 'string' ? detail.slice(0, 300) : 'no reason given';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
