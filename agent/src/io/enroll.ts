import { rm } from 'node:fs/promises';
import { Value } from '@sinclair/typebox/value';
import { type EnrollRequest, EnrollResponse } from '@vigie/protocol';
import { probeAuthority } from './authority-probe.js';
import { FleetHttps, FleetHttpsError } from './fleet-https.js';
import {
  certificateFault,
  type Identity,
  readIdentity,
  trustedKeysOf,
  tufDirectory,
  writeIdentity,
} from './identity.js';

export type EnrollErrorCode =
  | 'ALREADY_ENROLLED'
  | 'SERVER_URL_INVALID'
  /** The token is none: a part is missing, or it was not copied whole. */
  | 'TOKEN_INVALID'
  /** The token was used, has expired or never was one. */
  | 'TOKEN_REFUSED'
  /** Whoever answers is not the server that made the token; it was told nothing. */
  | 'FINGERPRINT_MISMATCH'
  | 'SERVER_NAME_MISMATCH'
  | 'SERVER_UNTRUSTED'
  | 'CLOCK_OR_CERTIFICATE_WRONG'
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
  /** `https://host:port` of the fleet server. */
  server: string;
  dataDirectory: string;
  /** As the operator gave it: `SECRET.FINGERPRINT`. */
  token: string;
  request: Omit<EnrollRequest, 'token' | 'csr'>;
  /** Replace an identity that stands there. */
  force: boolean;
  timeoutMs?: number;
}

/** A token of `vigie token create`: the secret, and the SHA-256 of the authority's certificate. */
const TOKEN = /^([A-Za-z0-9_-]{16,156})\.([A-Za-z0-9_-]{43})$/;
const MAX_ANSWER_BYTES = 256 * 1024;

/**
 * Trades a single-use token for this board's own certificate and keeps it. The key is made here. The server's authority is
 * compared with the token's fingerprint before anything is sent; then a second connection trusts that authority alone,
 * for this host name. Throws EnrollError.
 */
export async function enroll(options: EnrollOptions): Promise<Identity> {
  const { dataDirectory, request, force, timeoutMs = 15_000 } = options;
  const url = serverUrl(options.server);
  const [, secret, fingerprint] = TOKEN.exec(options.token) ?? [];
  if (secret === undefined) {
    throw new EnrollError(
      'TOKEN_INVALID',
      'the token is not of the form SECRET.FINGERPRINT; copy it whole, as `vigie token create` or `vigie-server init` printed it',
    );
  }
  if (!force) {
    const present = await readIdentity(dataDirectory);
    if (present !== null) {
      throw new EnrollError(
        'ALREADY_ENROLLED',
        `${dataDirectory} holds the identity of "${present.deviceId}"; --force replaces it`,
      );
    }
  }
  const probe = await probeAuthority(url, fingerprint, timeoutMs);
  if (!probe.ok && probe.reason === 'unreachable') throw unreachable(url, probe.detail);
  if (!probe.ok) {
    throw new EnrollError(
      'FINGERPRINT_MISMATCH',
      `${url.host} ${probe.detail}: it is not the server that made this token, or somebody stands in between; nothing was sent`,
    );
  }
  const { makeKeyAndRequest } = await import('./certificate-request.js');
  const { privateKey, csr } = await makeKeyAndRequest(request.deviceId);
  const answer = await post(url, probe.authority, { ...request, token: secret, csr }, timeoutMs);
  const identity: Identity = {
    ...answer,
    privateKey,
    hardwareClass: request.hardwareClass,
    enrolledAt: new Date().toISOString(),
  };
  checkAnswer(identity, request.deviceId, probe.authority);
  // Metadata of another fleet would hold this one's back as a rollback.
  if (force) await rm(tufDirectory(dataDirectory), { recursive: true, force: true });
  await writeIdentity(dataDirectory, identity);
  return identity;
}

function serverUrl(server: string): URL {
  let url: URL;
  try {
    url = new URL(server);
  } catch {
    throw new EnrollError(
      'SERVER_URL_INVALID',
      `--server "${server}" is no URL; write e.g. https://fleet.example.org:8443`,
    );
  }
  if (url.protocol !== 'https:') {
    throw new EnrollError(
      'SERVER_URL_INVALID',
      `--server "${server}" must begin with https:// (port 8443 unless told otherwise): boards are enrolled over TLS only`,
    );
  }
  return url;
}

function checkAnswer(identity: Identity, deviceId: string, authority: string): void {
  const invalid = (detail: string, cause?: unknown) => new EnrollError('SERVER_ANSWER_INVALID', detail, { cause });
  if (identity.deviceId !== deviceId) throw invalid(`asked for "${deviceId}", got "${identity.deviceId}"`);
  const same = (pem: string) => pem.replace(/\s/g, '') === authority.replace(/\s/g, '');
  if (!identity.authorities.some(same)) throw invalid("the answer does not name the token's authority");
  const fault = certificateFault(identity, deviceId, identity.privateKey);
  if (fault !== null) throw invalid(fault);
  try {
    trustedKeysOf(identity);
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
}

async function post(url: URL, authority: string, body: EnrollRequest, timeoutMs: number): Promise<EnrollResponse> {
  const https = new FleetHttps({
    baseUrl: url.origin,
    credentials: () => ({ authorities: [authority] }),
    idleMs: timeoutMs,
  });
  try {
    const { status, body: bytes } = await https.request('/api/v1/enroll', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      maxBytes: MAX_ANSWER_BYTES,
    });
    const answer = parseJson(bytes.toString());
    if (status < 200 || status > 299) throw refusal(url, status, answer);
    const problem = Value.Errors(EnrollResponse, answer).First();
    if (problem === undefined) return answer as EnrollResponse;
    throw new EnrollError('SERVER_ANSWER_INVALID', `${url.host} answered ${problem.path || '/'}: ${problem.message}`);
  } catch (error) {
    if (!(error instanceof FleetHttpsError)) throw error;
    const { code, message } = error;
    if (code === 'SERVER_NAME_MISMATCH' || code === 'SERVER_UNTRUSTED' || code === 'CLOCK_OR_CERTIFICATE_WRONG')
      throw new EnrollError(code, message, { cause: error });
    throw unreachable(url, message, error);
  } finally {
    https.close();
  }
}

function refusal(url: URL, status: number, answer: unknown): EnrollError {
  const { code, detail } = (answer ?? {}) as { code?: unknown; detail?: unknown };
  const reason = typeof detail === 'string' ? detail.slice(0, 300) : 'no reason given';
  if (code === 'ENROLLMENT_TOKEN_INVALID') return new EnrollError('TOKEN_REFUSED', `${url.host}: ${reason}`);
  return new EnrollError('SERVER_REFUSED', `${url.host} refused with status ${status}: ${reason}`);
}

function unreachable(url: URL, reason: string, cause?: unknown): EnrollError {
  const message = `${url.host} does not answer by TLS (${reason}); check --server, its port and the network`;
  return new EnrollError('SERVER_UNREACHABLE', message, { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
