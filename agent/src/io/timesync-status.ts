import { existsSync } from 'node:fs';

const FOLDER = '/run/systemd/timesync';

/**
 * Does systemd-timesyncd say that the wall clock was set from the network since the start? It keeps a folder while it runs,
 * and a file in it from the first synchronisation on (systemd-timesyncd.service(8)). Null: it does not run here.
 */
export function timesyncSynchronised(folder = FOLDER): boolean | null {
  if (existsSync(`${folder}/synchronized`)) return true;
  return existsSync(folder) ? false : null;
}
