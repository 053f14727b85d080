import { hostname } from 'node:os';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { ConfigError, type ServerConfig } from '../config.js';
import type { Database } from '../io/database/database.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import { LeaseRepository } from '../io/database/lease-repository.js';
import type { Duty } from '../services/duties.js';
import type { Publication } from '../services/publication.js';
import { Replicas } from '../services/replicas.js';

/** How often a replica looks whether another one changed the trust, ms. */
const FOLLOW_EVERY_MS = 2000;
const RECONCILE_EVERY_MS = 30_000;
/** Boards that are told again at one time. */
const MOST_UNCONFIRMED = 1000;

/** Enters this server among those on its database. Throws ConfigError where several would each have a broker of their own. */
export async function openReplicas(
  config: ServerConfig,
  database: Database,
  process: string,
  log: Logger,
): Promise<Replicas> {
  const name = replicaName(config, database);
  const replicas = new Replicas(new LeaseRepository(database), name, process, log);
  await replicas.start();
  if (config.mqtt.broker === undefined && replicas.others.length > 0) {
    const others = replicas.others.join(', ');
    await replicas.stop();
    throw new ConfigError(
      `mqtt.broker: is missing, and another server (${others}) runs on this database; boards of one would not hear the other: name an external broker, or stop that server`,
    );
  }
  return replicas;
}

/** Name of this server among the replicas. */
export function replicaName({ replica }: ServerConfig, { engine }: Database): string {
  return replica.name ?? (engine === 'pglite' ? 'single' : nameOfHost());
}

/** Part of the client ids on an external broker; null: one server alone. */
export function connectionName({ name }: Replicas, { replica }: ServerConfig, { engine }: Database): string | null {
  return replica.name === undefined && engine === 'pglite' ? null : name;
}

/** Keeps an external broker right although several write to it, and although it may lose what it was given. */
export function publicationDuties(
  { mqtt }: ServerConfig,
  publication: Pick<Publication, 'reconcile'>,
  devices: Pick<DeviceRepository, 'unconfirmed'>,
): Duty[] {
  if (mqtt.broker === undefined) return [];
  const run = async () => publication.reconcile(await devices.unconfirmed(MOST_UNCONFIRMED));
  return [{ name: 'publication', everyMs: RECONCILE_EVERY_MS, run }];
}

/** Follows what other replicas sign, where there may be any. Returns how to stop. */
export function followTrust({ engine }: Database, publication: Publication, log: Logger): () => void {
  if (engine === 'pglite') return () => undefined;
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    publication
      .follow()
      .catch((error: Error) => log.warn({ err: error.message }, "other replicas' metadata could not be read"))
      .finally(() => {
        busy = false;
      });
  }, FOLLOW_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A change may build on what an operator was told by another replica a moment ago: that is taken over first. */
export function followBeforeChanges(app: FastifyInstance, { engine }: Database, publication: Publication): void {
  if (engine === 'pglite') return;
  app.addHook('preHandler', async ({ method }) => {
    if (method !== 'GET' && method !== 'HEAD') await publication.follow();
  });
}

function nameOfHost(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'replica' : name;
}
