import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import { Sha256 } from '@vigie/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { UploadRecord, UploadRepository } from '../io/database/upload-repository.js';
import type { OffsetResult, ReleaseUploads } from '../services/release-uploads.js';
import { Paging, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';
import { actorOf, Notes } from './release-routes.js';

const Strict = { additionalProperties: false } as const;
const UploadId = Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' });
const UploadParams = Type.Object({ id: UploadId });
const NewUpload = Type.Object(
  {
    bytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'length of the .vigie file' }),
    sha256: Type.Optional(Sha256),
    notes: Type.Optional(Notes),
  },
  Strict,
);
const UploadQuery = Type.Object(pageParameters(200, 50), Strict);
const PAGING = new Paging('uploads', Type.Tuple([Type.Integer({ minimum: 0 }), UploadId]));
/** tus 1.0: the content type of a piece. */
const PIECE = 'application/offset+octet-stream';
const Whole = /^(0|[1-9]\d{0,15})$/;

/**
 * Uploads in pieces that go on after a cut: `POST` announces the length, `PATCH` adds bytes at `Upload-Offset`, `HEAD` tells where
 * to go on (the core protocol of tus 1.0, which also creates an upload by `Upload-Length` without a body), `GET` tells how far
 * the verification has come.
 */
export function uploadRoutes(app: FastifyInstance, uploads: ReleaseUploads, repository: UploadRepository): void {
  const role = 'publisher' as const;
  const view = (upload: UploadRecord, received: number | null) => ({
    ...{ id: upload.id, state: upload.state, bytes: upload.bytes, received, sha256: upload.sha256 },
    ...{ source: upload.source, actor: upload.actor, notes: upload.notes },
    ...{ createdAt: upload.createdAt, touchedAt: upload.touchedAt },
    expiresAt: upload.state === 'receiving' ? uploads.expiresAt(upload) : null,
    ...{ failure: upload.failure, release: upload.release, created: upload.created },
  });

  app.get<{ Querystring: Static<typeof UploadQuery> }>(
    '/uploads',
    { schema: { summary: 'Packages on their way in and how they ended, newest first', querystring: UploadQuery } },
    async ({ query }) => {
      const asked = PAGING.read(query);
      const after = asked.after === null ? null : { createdAt: new Date(asked.after[0]), id: asked.after[1] };
      const rows = await repository.list(after, asked.limit + 1);
      const key = ({ createdAt, id }: UploadRecord): [number, string] => [createdAt.getTime(), id];
      return PAGING.page(rows, asked, key, (row) => view(row, null));
    },
  );

  app.get<{ Params: Static<typeof UploadParams> }>(
    '/uploads/:id',
    { exposeHeadRoute: false, schema: { summary: 'How far an upload has come', params: UploadParams } },
    async ({ params }, reply) => {
      const found = await uploads.find(params.id);
      if (found === null) return sendProblem(reply, 'UPLOAD_UNKNOWN', `there is no upload ${params.id}`);
      return view(found.upload, found.received);
    },
  );

  app.head<{ Params: Static<typeof UploadParams> }>(
    '/uploads/:id',
    { config: { role }, schema: { summary: 'Upload-Offset: where the next bytes belong', params: UploadParams } },
    async ({ params }, reply) => {
      const found = await uploads.offset(params.id);
      tus(reply);
      if (!found.ok) return refuseLookup(reply, found);
      const { offset, upload } = found;
      reply.headers({ 'upload-offset': offset, ...(upload.bytes === null ? {} : { 'upload-length': upload.bytes }) });
      return reply.code(200).send();
    },
  );

  app.delete<{ Params: Static<typeof UploadParams> }>(
    '/uploads/:id',
    { config: { role }, schema: { summary: 'Give an upload up', params: UploadParams } },
    async ({ params }, reply) => {
      const result = await uploads.cancel(params.id);
      tus(reply);
      return result.ok ? reply.code(204).send() : sendProblem(reply, result.code, result.detail);
    },
  );

  app.post<{ Body: Static<typeof NewUpload> | null }>(
    '/uploads',
    {
      config: { role },
      schema: { summary: 'Begin an upload in pieces', body: Type.Union([Type.Null(), NewUpload]) },
    },
    async (request, reply) => {
      const wanted = request.body ?? announced(request);
      if (wanted === null) {
        const detail = 'say how long the package is: {"bytes": N} as JSON, or the header Upload-Length';
        return sendProblem(reply, 'REQUEST_INVALID', detail);
      }
      const result = await uploads.create({ ...wanted, actor: actorOf(request) });
      tus(reply);
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      reply.headers({ location: `/api/v1/uploads/${result.upload.id}`, 'upload-offset': 0 });
      return reply.code(201).send(view(result.upload, 0));
    },
  );

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(PIECE, { bodyLimit: Number.MAX_SAFE_INTEGER }, (_request, payload, done) =>
      done(null, payload),
    );
    scope.patch<{ Params: Static<typeof UploadParams> }>(
      '/uploads/:id',
      { config: { role }, schema: { summary: `Add bytes at Upload-Offset (${PIECE})`, params: UploadParams } },
      async (request, reply) => {
        const { headers, params, body } = request;
        tus(reply);
        const offset = headers['upload-offset'];
        if (body == null || typeof offset !== 'string' || !Whole.test(offset)) {
          reply.header('connection', 'close');
          const detail = `send bytes as ${PIECE} with the header Upload-Offset: N`;
          return sendProblem(reply, 'REQUEST_INVALID', detail);
        }
        const length = headers['content-length'];
        const known = length === undefined ? null : Number(length);
        const result = await uploads.append(params.id, Number(offset), known, body as Readable);
        if (result.ok) return reply.code(204).header('upload-offset', result.offset).send();
        // Unread bytes may follow: this connection carries nothing else.
        reply.header('connection', 'close');
        if (result.code === 'UPLOAD_UNKNOWN' || result.code === 'UPLOAD_ELSEWHERE') return refuseLookup(reply, result);
        if ('offset' in result) reply.header('upload-offset', result.offset);
        return sendProblem(reply, result.code, result.detail, 'offset' in result ? { offset: result.offset } : {});
      },
    );
  });
}

/** A new connection may lead to the replica that has the bytes: this one ends. */
function refuseLookup(reply: FastifyReply, refusal: Extract<OffsetResult, { ok: false }>): FastifyReply {
  const { code, detail } = refusal;
  if (refusal.code === 'UPLOAD_UNKNOWN') return sendProblem(reply, code, detail);
  reply.headers({ connection: 'close', 'retry-after': '1' });
  return sendProblem(reply, code, detail, { replica: refusal.replica });
}

function tus(reply: FastifyReply): void {
  reply.headers({ 'tus-resumable': '1.0.0', 'tus-version': '1.0.0', 'tus-extension': 'creation,termination' });
}

/** A creation as tus 1.0 has it: the length in a header, `sha256` and `notes` in `Upload-Metadata`. */
function announced({ headers }: FastifyRequest): Static<typeof NewUpload> | null {
  const length = headers['upload-length'];
  if (typeof length !== 'string' || !Whole.test(length) || Number(length) < 1) return null;
  const given = typeof headers['upload-metadata'] === 'string' ? headers['upload-metadata'] : '';
  const metadata = new Map(
    given.split(',').map((pair) => {
      const [key, value = ''] = pair.trim().split(' ');
      return [key, Buffer.from(value, 'base64').toString('utf8')] as const;
    }),
  );
  const sha256 = metadata.get('sha256');
  const notes = metadata.get('notes');
  return {
    bytes: Number(length),
    ...(sha256 !== undefined && /^[0-9a-f]{64}$/.test(sha256) ? { sha256 } : {}),
    ...(notes === undefined ? {} : { notes: notes.slice(0, 8000) }),
  };
}
