import { createHash } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Staged } from '../io/tuf/staging.js';
import type { TufStatus } from '../io/tuf/tuf-status.js';
import { OfferedSignatures } from '../offered-signatures.js';
import type { SignedMetadata } from '../ports.js';
import { sendProblem } from './problem.js';

const FileParams = Type.Object({
  file: Type.String({
    pattern: '^([1-9]\\d{0,9}\\.(root|targets|certified|snapshot)|timestamp)\\.json$',
    maxLength: 64,
  }),
});

/**
 * TUF metadata by HTTP, as every TUF client asks for it with consistent snapshots (TUF 1.0.31, 6.2): `/tuf/3.root.json`,
 * `/tuf/timestamp.json`. Public: it is signed, and it names no device. 404 means "there is none", which clients rely on.
 */
export function tufFileRoutes(app: FastifyInstance, metadata: () => readonly SignedMetadata[]): void {
  app.get<{ Params: Static<typeof FileParams> }>(
    '/tuf/:file',
    { schema: { summary: 'One file of TUF metadata', params: FileParams }, config: { open: true } },
    async ({ params, headers }, reply) => {
      const found = metadata().find(({ role, version }) => fileName(role, version) === params.file);
      if (found === undefined) return sendProblem(reply, 'NOT_FOUND', `there is no ${params.file}`);
      const etag = `"${createHash('sha256').update(found.bytes).digest('hex')}"`;
      reply.header('etag', etag);
      // A version never changes; only the timestamp has to be asked for again.
      reply.header('cache-control', found.role === 'timestamp' ? 'no-cache' : 'public, max-age=31536000, immutable');
      const known = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, ''));
      if (known?.includes(etag)) return reply.code(304).send();
      return reply.type('application/json').send(found.bytes);
    },
  );
}

export type AcceptResult =
  | { ok: true }
  | { ok: false; code: 'STAGED_MISMATCH' | 'KEY_UNKNOWN' | 'SIGNATURE_INVALID'; detail: string };

/** What operators ask of a running server: its trust, what waits for signatures, and a place to hand these in. */
export interface TrustAdministration {
  status(): TufStatus;
  staged(): Staged;
  accept(offered: OfferedSignatures): Promise<AcceptResult>;
}

export function trustRoutes(app: FastifyInstance, trust: TrustAdministration): void {
  app.get('/tuf', { schema: { summary: 'Roles, keys, expiries, and what waits for signatures' } }, async () =>
    trust.status(),
  );

  app.get(
    '/tuf/staged',
    { schema: { summary: 'What waits for signatures: the input of "vigie-server tuf sign"' } },
    async () => trust.staged(),
  );

  app.post<{ Body: OfferedSignatures }>(
    '/tuf/signatures',
    { schema: { summary: 'Hand in what "vigie-server tuf sign" wrote', body: OfferedSignatures } },
    async ({ body }, reply) => {
      const result = await trust.accept(body);
      return result.ok ? trust.status() : sendProblem(reply, result.code, result.detail);
    },
  );
}

function fileName(role: SignedMetadata['role'], version: number): string {
  return role === 'timestamp' ? 'timestamp.json' : `${version}.${role}.json`;
}
