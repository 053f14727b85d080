import { liveBackup } from '../backup-wiring.js';
import { backupRoutes } from '../routes/backup-routes.js';
import type { Core, Feature } from './feature-wiring.js';

/** What operators of the server itself need: backups and figures. */
export function wireOperations(core: Core, version: string): Feature {
  return {
    routes: (app) => backupRoutes(app, (telemetry) => liveBackup(core, version, telemetry)),
  };
}
