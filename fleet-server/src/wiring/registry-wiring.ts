import { packageSandbox } from '../io/package-sandbox.js';
import { DEFAULT_POLICY } from '../registry/release-state.js';
import { releaseRoutes } from '../routes/release-routes.js';
import { ReleaseIntake } from '../services/release-intake.js';
import type { Core, Feature } from './feature-wiring.js';

/** Packages, releases and what is said of them. */
export function wireRegistry({ config, temporary, blobs, releases, publication, now }: Core): Feature {
  const verify = packageSandbox({
    timeoutMs: config.upload.verifyTimeoutSeconds * 1000,
    memoryBytes: config.upload.verifyMemoryMiB * 1024 * 1024,
  });
  const { maxBytes } = config.upload;
  const intake = new ReleaseIntake(temporary, maxBytes, verify, blobs, releases, publication, DEFAULT_POLICY, now);
  return {
    routes: (app) => releaseRoutes(app, releases, intake, (release) => publication.isPublished(release)),
  };
}
