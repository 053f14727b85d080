import { parts } from '../data-folder-wiring.js';
import { PromotionRepository } from '../io/database/promotion-repository.js';
import { ReferenceRepository } from '../io/database/reference-repository.js';
import { UploadRepository } from '../io/database/upload-repository.js';
import { packageSandbox } from '../io/package-sandbox.js';
import { UploadFolder } from '../io/upload-folder.js';
import { RELEASE_POLICIES } from '../registry/release-state.js';
import { comparisonRoutes } from '../routes/comparison-routes.js';
import { mlflowRoutes } from '../routes/mlflow-routes.js';
import { promotionRoutes } from '../routes/promotion-routes.js';
import { releaseRoutes } from '../routes/release-routes.js';
import { storageRoutes } from '../routes/storage-routes.js';
import { uploadRoutes } from '../routes/upload-routes.js';
import { BlobCollector } from '../services/blob-collector.js';
import { ReleaseComparison } from '../services/release-comparison.js';
import { ReleaseIntake } from '../services/release-intake.js';
import { ReleaseLife } from '../services/release-life.js';
import { ReleasePromotions } from '../services/release-promotions.js';
import { ReleaseUploads } from '../services/release-uploads.js';
import type { Core, Feature } from './feature-wiring.js';
import { wireMlflow } from './mlflow-wiring.js';
import { replicaName } from './replica-wiring.js';

/** Uploads that nobody continues are looked for so often. */
const SWEEP_MS = 60_000;

/** Objects that nothing refers to are looked for so often. */
const COLLECT_MS = 3_600_000;

/** What other areas call. */
export interface RegistryFeature extends Feature {
  life: ReleaseLife;
  promotions: ReleasePromotions;
  comparisons: ReleaseComparison;
  intake: ReleaseIntake;
}

/** Packages, releases and what is said of them. */
export async function wireRegistry(core: Core): Promise<RegistryFeature> {
  const { config, temporary, database, blobs, releases, publication, labels, log, now } = core;
  const verify = packageSandbox({
    timeoutMs: config.upload.verifyTimeoutSeconds * 1000,
    memoryBytes: config.upload.verifyMemoryMiB * 1024 * 1024,
  });
  const { maxBytes } = config.upload;
  const policy = RELEASE_POLICIES[config.registry.policy];
  const intake = new ReleaseIntake(temporary, maxBytes, verify, blobs, releases, publication, policy, now);
  const life = new ReleaseLife(releases, publication, now);
  const decisions = new PromotionRepository(database);
  const comparisons = new ReleaseComparison(releases);
  const figures = comparisons.figures.bind(comparisons);
  const promotions = new ReleasePromotions(decisions, releases, labels, figures, now);
  const { maxOpen, expiryHours } = config.upload;
  const limits = { maxBytes, maxOpen, expiryMs: expiryHours * 3_600_000 };
  const arriving = new UploadRepository(database);
  const files = await UploadFolder.open(parts(config.data.directory).uploads);
  const mlflow = wireMlflow(core);
  const uploads = new ReleaseUploads(
    arriving,
    files,
    intake,
    mlflow.fetch,
    limits,
    replicaName(config, database),
    log,
    now,
  );
  await uploads.resume();
  const sweeping = setInterval(() => {
    uploads.sweep().catch((error: Error) => log.error({ err: error }, 'uploads could not be swept'));
  }, SWEEP_MS);
  sweeping.unref();
  const referring = new ReferenceRepository(database);
  const references = async () => new Set([...(await referring.references()), ...publication.storedTargets()]);
  const grace = config.registry.garbageGraceHours * 3_600_000;
  const collector = new BlobCollector(blobs, references, grace, log, now);
  const isPublished = (release: { name: string; version: string }) => publication.isPublished(release);
  return {
    ...{ life, promotions, comparisons, intake },
    routes: (app) => {
      releaseRoutes(app, { releases, promotions: decisions, intake, life, isPublished, now });
      comparisonRoutes(app, comparisons);
      promotionRoutes(app, promotions, decisions);
      uploadRoutes(app, uploads, arriving);
      storageRoutes(app, collector);
      mlflowRoutes(app, uploads, config.mlflow !== undefined);
    },
    health: mlflow.health,
    duties: [
      ...mlflow.duties,
      { name: 'garbage', everyMs: COLLECT_MS, run: async () => void (await collector.collect()) },
    ],
    close: async () => {
      clearInterval(sweeping);
      await uploads.close();
    },
  };
}
