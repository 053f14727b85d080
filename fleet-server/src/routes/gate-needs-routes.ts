import type { FastifyInstance } from 'fastify';
import { needsOf } from '../gates/needs.js';
import type { GrantRepository } from '../io/database/grant-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { GateJudge } from '../services/gate-judge.js';
import { sendProblem } from './problem.js';
import { ReleaseParams } from './release-routes.js';

export interface NeedsRouteServices {
  grants: Pick<GrantRepository, 'ofRelease'>;
  releases: Pick<ReleaseRepository, 'find'>;
  judge: Pick<GateJudge, 'consider'>;
  /** False: `registry.policy` lets everything through. */
  decide: boolean;
}

/** What stands between a release and the boards. */
export function needsRoutes(app: FastifyInstance, { grants, releases, judge, decide }: NeedsRouteServices): void {
  app.get<{ Params: { name: string; version: string } }>(
    '/releases/:name/:version/gates',
    {
      schema: {
        summary: 'What the gates in force say of a release now, and which results they wait for; nothing is stored',
        params: ReleaseParams,
      },
    },
    async ({ params }, reply) => {
      const release = await releases.find(params.name, params.version);
      if (release === null)
        return sendProblem(reply, 'RELEASE_UNKNOWN', `${params.name}@${params.version} is not in the registry`);
      const { name, version, digest, state } = release;
      const standing = (await grants.ofRelease(release.id)).filter(({ revokedAt }) => revokedAt === null);
      return {
        release: { name, version, digest, state },
        decide,
        certified: standing.map(({ hardwareClass }) => hardwareClass),
        gates: needsOf(await judge.consider(release)),
      };
    },
  );
}
