import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IdempotencyRepository } from '../io/database/idempotency-repository.js';
import type { Credential } from '../roles.js';
import { canonicalJson } from '../services/audit-entry.js';
import { sendProblem } from './problem.js';

const KEPT_MS = 86_400_000;
/** A request that has not ended after so long has lost its process: longer than any request may take. */
const ABANDONED_MS = 15 * 60_000;
/** Larger answers are not kept, bytes; the request then counts as not made with a key. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** The key that a request holds until its answer is known. */
export interface HeldKey {
  id: string;
  cipherKey: Buffer;
}

/**
 * `Idempotency-Key` on POST and PATCH (draft-ietf-httpapi-idempotency-key-header): a request that is repeated with its key is
 * answered as the first one was and does nothing again. Keys belong to one token or login. Bodies that are streamed (packages)
 * are left out: their names are their hashes. Answers are kept for a day, encrypted under what the client showed.
 */
export function installIdempotency(app: FastifyInstance, keys: IdempotencyRepository, now: () => Date): void {
  app.addHook('preHandler', async (request, reply) => {
    const given = request.headers['idempotency-key'];
    const { credential, method } = request;
    if (given === undefined || credential === null || (method !== 'POST' && method !== 'PATCH')) return;
    if (isStream(request.body)) return;
    if (typeof given !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(given)) {
      return sendProblem(
        reply,
        'REQUEST_INVALID',
        'Idempotency-Key: use 1..200 visible ASCII characters, such as a UUID',
      );
    }
    const held = heldKey(credential, given);
    const print = fingerprint(request);
    const at = now();
    const taken = await keys.claim(
      held.id,
      print,
      at,
      new Date(at.getTime() + KEPT_MS),
      new Date(at.getTime() - ABANDONED_MS),
    );
    if (!taken) return repeat(request, reply, await keys.find(held.id), print, held);
    request.heldKey = held;
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const held = request.heldKey;
    if (held === null) return payload;
    request.heldKey = null;
    const { statusCode: status } = reply;
    // What failed by the server's fault may be tried again.
    if (status >= 500 || status === 429 || !isKeepable(payload)) {
      await keys.free(held.id);
      return payload;
    }
    const answer = JSON.stringify({
      type: reply.getHeader('content-type') ?? null,
      location: reply.getHeader('location') ?? null,
      body: payload ?? '',
    });
    await keys.finish(held.id, status, seal(held.cipherKey, answer));
    return payload;
  });
}

async function repeat(
  request: FastifyRequest,
  reply: FastifyReply,
  record: { request: string; status: number | null; answer: string | null } | null,
  print: string,
  { cipherKey }: HeldKey,
): Promise<FastifyReply> {
  if (record !== null && record.request !== print) {
    return sendProblem(
      reply,
      'IDEMPOTENCY_KEY_REUSED',
      'Idempotency-Key: came with another request before; use a new key',
    );
  }
  if (record === null || record.status === null || record.answer === null) {
    reply.header('retry-after', '1');
    return sendProblem(
      reply,
      'IDEMPOTENCY_IN_PROGRESS',
      'the first request with this key still runs; ask again in 1 s',
    );
  }
  const { type, location, body } = JSON.parse(unseal(cipherKey, record.answer)) as Record<string, string | null>;
  if (location !== null) reply.header('location', location);
  if (type !== null) reply.type(type);
  // Nothing was done: the log has the first request.
  request.audit.written = true;
  return reply.code(record.status).header('idempotency-replayed', 'true').send(body);
}

function heldKey(credential: Credential, key: string): HeldKey {
  return {
    id: createHash('sha256').update(`${credential.id}\n${key}`).digest('hex'),
    cipherKey: Buffer.from(hkdfSync('sha256', credential.secret, key, 'vigie idempotency', 32)),
  };
}

function fingerprint({ method, url, body }: FastifyRequest): string {
  return createHash('sha256')
    .update(`${method}\n${url}\n${canonicalJson(body ?? null)}`)
    .digest('hex');
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && ('pipe' in body || Buffer.isBuffer(body));
}

function isKeepable(payload: unknown): payload is string | null | undefined {
  return payload == null || (typeof payload === 'string' && Buffer.byteLength(payload) <= MAX_ANSWER_BYTES);
}

function seal(key: Buffer, text: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
}

function unseal(key: Buffer, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const cipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
  cipher.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([cipher.update(bytes.subarray(28)), cipher.final()]).toString('utf8');
}
