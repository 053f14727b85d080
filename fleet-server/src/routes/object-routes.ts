import { type Static, Type } from '@sinclair/typebox';
import { Sha256 } from '@vigie/protocol';
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ObjectAccess } from '../services/object-access.js';
import { parseRange, type RangeRequest } from './byte-range.js';
import { sendProblem } from './problem.js';

const ObjectParams = Type.Object({ sha256: Sha256 });

/** A reader that takes nothing for so long loses its place, ms. */
const STALLED_MS = 60_000;

/**
 * Files and descriptors of released releases by their hash, for boards that fetch by HTTPS. The bytes of a name never change, so that any
 * cache may keep them for ever. `access`: who may come here on this listener.
 */
export function objectRoutes(app: FastifyInstance, objects: ObjectAccess, access: FastifyContextConfig): void {
  app.get<{ Params: Static<typeof ObjectParams> }>(
    '/objects/:sha256',
    {
      config: access,
      exposeHeadRoute: false,
      schema: { summary: 'Bytes of a file or descriptor of a released release; Range', params: ObjectParams },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const size = await objects.sizeOf(sha256);
      if (size === null) return sendProblem(reply, 'NOT_FOUND', `no released release has an object ${sha256}`);
      const tag = `"${sha256}"`;
      reply.headers({
        etag: tag,
        'accept-ranges': 'bytes',
        'cache-control': 'public, max-age=31536000, immutable',
        'content-type': 'application/octet-stream',
      });
      if (request.headers['if-none-match'] === tag) return reply.code(304).send();
      const range = rangeOf(request, tag, size);
      if (range.kind === 'impossible') {
        reply.headers({ 'content-range': `bytes */${size}`, 'cache-control': 'no-store' });
        return sendProblem(reply, 'RANGE_IMPOSSIBLE', `the object has ${size} bytes`);
      }
      const part = range.kind === 'whole' ? { offset: 0, length: size } : range;
      reply.header('content-length', part.length);
      if (range.kind === 'part') {
        reply.code(206).header('content-range', `bytes ${part.offset}-${part.offset + part.length - 1}/${size}`);
      }
      return send(request, reply, objects, sha256, part);
    },
  );
}

/** A part is only a part of the version that the asker knows (RFC 9110, section 13.1.5). */
function rangeOf({ headers }: FastifyRequest, tag: string, size: number): RangeRequest {
  const condition = headers['if-range'];
  if (condition !== undefined && condition !== tag) return { kind: 'whole' };
  return parseRange(headers.range, size);
}

async function send(
  request: FastifyRequest,
  reply: FastifyReply,
  objects: ObjectAccess,
  sha256: string,
  part: { offset: number; length: number },
): Promise<FastifyReply> {
  const place = objects.enter(readerOf(request));
  if (!place.ok) {
    for (const name of ['content-length', 'content-range', 'etag', 'cache-control']) reply.removeHeader(name);
    return sendProblem(reply, 'SERVER_BUSY', 'too many transfers at the same time; come back later');
  }
  reply.raw.once('close', place.leave);
  reply.raw.setTimeout(STALLED_MS, () => reply.raw.destroy());
  try {
    return reply.send(await objects.read(sha256, part));
  } catch (error) {
    place.leave();
    throw error;
  }
}

/** The board whose certificate the connection has; null for an operator. */
function readerOf(request: FastifyRequest): string | null {
  return (request as FastifyRequest & { device?: string | null }).device ?? null;
}
