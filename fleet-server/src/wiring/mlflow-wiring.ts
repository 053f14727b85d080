import { MlflowClient } from '../io/mlflow-client.js';
import { packagePacker } from '../io/package-packer.js';
import type { Duty } from '../services/duties.js';
import { MlflowImport } from '../services/mlflow-import.js';
import { MlflowJournal } from '../services/mlflow-journal.js';
import type { FetchPackage } from '../services/release-uploads.js';
import type { Core } from './feature-wiring.js';

/** How often the activity log is looked at, ms. */
const FOLLOW_MS = 5000;

export interface MlflowParts {
  fetch: FetchPackage;
  duties: readonly Duty[];
  health(): Record<string, unknown>;
}

/** The MLflow server of the configuration, if there is one. */
export function wireMlflow({ config, temporary, activity, releases, log, now }: Core): MlflowParts {
  if (config.mlflow === undefined) return { fetch: notConfigured, duties: [], health: () => ({}) };
  const { timeoutSeconds, logBack, ...options } = config.mlflow;
  const client = new MlflowClient({ ...options, timeoutMs: timeoutSeconds * 1000 });
  const pack = packagePacker({
    timeoutMs: config.upload.verifyTimeoutSeconds * 1000,
    memoryBytes: config.upload.verifyMemoryMiB * 1024 * 1024,
  });
  const imports = new MlflowImport(client, pack, temporary, config.upload.maxBytes, now);
  const journal = new MlflowJournal(client, activity, releases, log, now);
  return {
    fetch: imports.fetch,
    duties: logBack ? [{ name: 'mlflow', everyMs: FOLLOW_MS, run: () => journal.follow() }] : [],
    health: () => ({ mlflow: journal.state }),
  };
}

const notConfigured: FetchPackage = async () => ({
  ok: false,
  failure: { code: 'MLFLOW_NOT_CONFIGURED', detail: 'no MLflow server is known; set mlflow.url in the configuration' },
});
