import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { ReleaseIntake } from '../services/release-intake.js';
import { sendProblem } from './problem.js';

const ReleaseParams = Type.Object({ name: ModelName, version: SemanticVersion });

/** A release as the API shows it. `published`: the signed targets list it; a released one that is not waits for signatures. */
export function viewRelease(release: ReleaseRecord, published: boolean): object {
  const { name, version, digest, precision, bytes, state, certifiedBy, createdAt, withdrawnAt } = release;
  return { name, version, digest, precision, bytes, state, published, certifiedBy, createdAt, withdrawnAt };
}

export function releaseRoutes(
  app: FastifyInstance,
  releases: ReleaseRepository,
  intake: ReleaseIntake,
  isPublished: (release: { name: string; version: string }) => boolean,
): void {
  const view = (release: ReleaseRecord) => viewRelease(release, isPublished(release));
  app.get('/releases', { schema: { summary: 'All releases, newest first' } }, async () => ({
    items: (await releases.list()).map(view),
  }));

  app.get<{ Params: Static<typeof ReleaseParams> }>(
    '/releases/:name/:version',
    { schema: { summary: 'One release and its descriptor', params: ReleaseParams } },
    async ({ params }, reply) => {
      const release = await releases.find(params.name, params.version);
      if (release === null)
        return sendProblem(reply, 'RELEASE_UNKNOWN', `${params.name}@${params.version} is not in the registry`);
      return { ...view(release), descriptor: release.descriptor };
    },
  );

  app.post<{ Params: Static<typeof ReleaseParams> }>(
    '/releases/:name/:version/withdraw',
    { schema: { summary: 'Take a release out of the targets', params: ReleaseParams } },
    async ({ params }, reply) => {
      const result = await intake.withdraw(params.name, params.version);
      return result.ok ? view(result.release) : sendProblem(reply, result.code, result.detail);
    },
  );

  app.register(async (scope) => {
    // A package goes to the disk as it comes: it is never held in memory. The intake bounds it.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/octet-stream',
      { bodyLimit: Number.MAX_SAFE_INTEGER },
      (_request, payload, done) => done(null, payload),
    );
    scope.post(
      '/releases',
      { schema: { summary: 'Upload a .vigie package (application/octet-stream)' } },
      async (request, reply) => {
        if (request.body == null)
          return sendProblem(reply, 'MEDIA_TYPE_UNSUPPORTED', 'send the package as application/octet-stream');
        const result = await intake.upload(request.body as Readable);
        if (result.ok) return reply.code(result.created ? 201 : 200).send(view(result.release));
        // Unread bytes may follow: this connection carries nothing else.
        reply.header('connection', 'close');
        return sendProblem(
          reply,
          result.code,
          result.detail,
          result.packageCode === undefined ? {} : { packageCode: result.packageCode },
        );
      },
    );
  });
}
