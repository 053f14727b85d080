import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { PromotionRepository } from '../io/database/promotion-repository.js';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import type { ReleaseIntake } from '../services/release-intake.js';
import type { ReleaseLife } from '../services/release-life.js';
import { sendProblem } from './problem.js';
import { viewPromotion } from './promotion-routes.js';

const Strict = { additionalProperties: false } as const;
export const ReleaseParams = Type.Object({ name: ModelName, version: SemanticVersion });
export const Notes = Type.String({ maxLength: 8000 });
const NotesBody = Type.Object({ notes: Notes }, Strict);
const WithdrawBody = Type.Union([
  Type.Null(),
  Type.Object({ reason: Type.Optional(Type.String({ maxLength: 2000 })) }, Strict),
]);
/** Decisions shown with one release. */
const SHOWN_PROMOTIONS = 50;

export interface ReleaseRouteServices {
  releases: ReleaseRepository;
  promotions: PromotionRepository;
  intake: ReleaseIntake;
  life: ReleaseLife;
  /** Do the signed targets list it? */
  isPublished: (release: { name: string; version: string }) => boolean;
  now: Now;
}

/** A release as the API shows it. `published`: the signed targets list it; one that is not waits for signatures. */
export function viewRelease(release: ReleaseRecord, published: boolean): object {
  const { name, version, digest, precision, bytes, state, certifiedBy, createdAt, withdrawnAt } = release;
  const { uploadedBy, notes, manifest, provenance } = release;
  return {
    ...{ name, version, digest, precision, bytes, state, published, certifiedBy, createdAt, withdrawnAt },
    ...{ uploadedBy, notes, manifest, provenance },
  };
}

export const actorOf = ({ actor }: FastifyRequest): string => actor?.name ?? 'system';

export function releaseRoutes(app: FastifyInstance, services: ReleaseRouteServices): void {
  const { releases, promotions, intake, life, isPublished, now } = services;
  const view = (release: ReleaseRecord) => viewRelease(release, isPublished(release));
  const unknown = ({ name, version }: Static<typeof ReleaseParams>) => `${name}@${version} is not in the registry`;

  app.get('/releases', { schema: { summary: 'All releases, newest first' } }, async () => ({
    items: (await releases.list()).map(view),
  }));

  app.get<{ Params: Static<typeof ReleaseParams> }>(
    '/releases/:name/:version',
    { schema: { summary: 'One release, its descriptor and the decisions about it', params: ReleaseParams } },
    async ({ params }, reply) => {
      const release = await releases.find(params.name, params.version);
      if (release === null) return sendProblem(reply, 'RELEASE_UNKNOWN', unknown(params));
      const holders = (await promotions.holders()).filter(({ name }) => name === release.name);
      const aliases = holders.filter(({ version }) => version === release.version).map(({ alias }) => alias);
      const decisions = await promotions.list({ releaseId: release.id }, null, SHOWN_PROMOTIONS);
      return { ...view(release), descriptor: release.descriptor, aliases, promotions: decisions.map(viewPromotion) };
    },
  );

  app.put<{ Params: Static<typeof ReleaseParams>; Body: Static<typeof NotesBody> }>(
    '/releases/:name/:version/notes',
    {
      config: { role: 'publisher' },
      schema: { summary: 'Write the notes of a release', params: ReleaseParams, body: NotesBody },
    },
    async (request, reply) => {
      const { params, body } = request;
      const release = await releases.find(params.name, params.version);
      if (release === null) return sendProblem(reply, 'RELEASE_UNKNOWN', unknown(params));
      await releases.setNotes(release.id, body.notes, actorOf(request), now());
      return view({ ...release, notes: body.notes });
    },
  );

  app.post<{ Params: Static<typeof ReleaseParams>; Body: Static<typeof WithdrawBody> }>(
    '/releases/:name/:version/withdraw',
    { schema: { summary: 'Take a release out of the targets', params: ReleaseParams, body: WithdrawBody } },
    async (request, reply) => {
      const { name, version } = request.params;
      const reason = request.body?.reason ?? '';
      const result = await life.withdraw(name, version, { actor: actorOf(request), reason });
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
      {
        config: { role: 'publisher' },
        schema: { summary: 'Upload a .vigie package in one piece (application/octet-stream)' },
      },
      async (request, reply) => {
        if (request.body == null)
          return sendProblem(reply, 'MEDIA_TYPE_UNSUPPORTED', 'send the package as application/octet-stream');
        const result = await intake.upload(request.body as Readable, { actor: actorOf(request) });
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
