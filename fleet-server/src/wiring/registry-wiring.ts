import { PromotionRepository } from '../io/database/promotion-repository.js';
import { packageSandbox } from '../io/package-sandbox.js';
import { RELEASE_POLICIES } from '../registry/release-state.js';
import { promotionRoutes } from '../routes/promotion-routes.js';
import { releaseRoutes } from '../routes/release-routes.js';
import { ReleaseIntake } from '../services/release-intake.js';
import { ReleaseLife } from '../services/release-life.js';
import { ReleasePromotions } from '../services/release-promotions.js';
import type { Core, Feature } from './feature-wiring.js';

/** What other areas call. */
export interface RegistryFeature extends Feature {
  life: ReleaseLife;
  promotions: ReleasePromotions;
  intake: ReleaseIntake;
}

/** Packages, releases and what is said of them. */
export function wireRegistry(core: Core): RegistryFeature {
  const { config, temporary, database, blobs, releases, publication, labels, now } = core;
  const verify = packageSandbox({
    timeoutMs: config.upload.verifyTimeoutSeconds * 1000,
    memoryBytes: config.upload.verifyMemoryMiB * 1024 * 1024,
  });
  const { maxBytes } = config.upload;
  const policy = RELEASE_POLICIES[config.registry.policy];
  const intake = new ReleaseIntake(temporary, maxBytes, verify, blobs, releases, publication, policy, now);
  const life = new ReleaseLife(releases, publication, now);
  const decisions = new PromotionRepository(database);
  const promotions = new ReleasePromotions(decisions, releases, labels, async () => ({}), now);
  const isPublished = (release: { name: string; version: string }) => publication.isPublished(release);
  return {
    ...{ life, promotions, intake },
    routes: (app) => {
      releaseRoutes(app, { releases, promotions: decisions, intake, life, isPublished, now });
      promotionRoutes(app, promotions, decisions);
    },
  };
}
