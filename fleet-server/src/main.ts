import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { ServerConfig } from './config.js';
import { AedesBroker } from './io/aedes-broker.js';
import { privateFolder, writeAtomic } from './io/atomic-file.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import { DeviceRepository } from './io/database/device-repository.js';
import { IngestRepository } from './io/database/ingest-repository.js';
import { PgliteDatabase } from './io/database/pglite-database.js';
import { ReleaseRepository } from './io/database/release-repository.js';
import { TokenRepository } from './io/database/token-repository.js';
import { FolderObjectStore } from './io/folder-object-store.js';
import { packageSandbox } from './io/package-sandbox.js';
import { createTrust, ONLINE_TRUST, type TrustOptions } from './io/tuf/trust-setup.js';
import type { Now } from './ports.js';
import { defaultCertificate } from './registry/certification.js';
import { DEFAULT_POLICY } from './registry/release-state.js';
import { deviceRoutes } from './routes/device-routes.js';
import { createHttpServer } from './routes/http-server.js';
import { releaseRoutes } from './routes/release-routes.js';
import { trustRoutes, tufFileRoutes } from './routes/tuf-routes.js';
import { hashSecret, newSecret } from './secrets.js';
import { AssignmentService } from './services/assignment.js';
import { EnrollmentService } from './services/enrollment.js';
import { IngestService } from './services/ingest.js';
import { Maintenance } from './services/maintenance.js';
import { Publication } from './services/publication.js';
import { ReleaseIntake } from './services/release-intake.js';
import { openTrust, trustAdministration, trustWatch } from './trust-wiring.js';

/** The data folder cannot be used as it is; the message says what to do. */
export class DataFolderError extends Error {
  readonly code = 'DATA_FOLDER_UNUSABLE';
}

/** Parts of a data folder. */
const parts = (directory: string) => ({
  database: join(directory, 'database'),
  blobs: join(directory, 'blobs'),
  snapshots: join(directory, 'snapshots'),
  temporary: join(directory, 'tmp'),
  /** Written last by `init`: without it the folder is not complete. */
  marker: join(directory, 'vigie-server.json'),
});

const systemNow: Now = () => new Date();

export interface Initialised {
  dataDirectory: string;
  adminToken: string;
  enrollmentToken: string;
  /** Private keys to carry away: they are nowhere else. */
  offlineKeys: string[];
}

/** Makes keys, TUF repository, database, the first operator's token and an enrolment token. An interrupted one may be repeated. */
export async function initialise(
  directory: string,
  now: Now = systemNow,
  trust: TrustOptions = ONLINE_TRUST,
): Promise<Initialised> {
  await privateFolder(directory);
  const paths = parts(directory);
  const lock = await lockDataFolder(directory);
  try {
    if (await exists(paths.marker)) {
      throw new DataFolderError(
        `${directory}: is initialised already; run the server on it, or make a new token with: vigie-server token --data ${directory}`,
      );
    }
    const offlineKeys = await createTrust(directory, trust, now);
    await privateFolder(paths.database);
    const adminToken = newSecret('admin');
    const enrollmentToken = newSecret('enrollment');
    await withTokens(paths.database, async (tokens) => {
      const at = now();
      await tokens.addApiToken(hashSecret(adminToken), 'first admin', at);
      await tokens.addEnrollmentToken(hashSecret(enrollmentToken), at, new Date(at.getTime() + 7 * 86_400_000));
    });
    await writeAtomic(paths.marker, `${JSON.stringify({ layout: 1, initialisedAt: now().toISOString() })}\n`);
    return { dataDirectory: directory, adminToken, enrollmentToken, offlineKeys };
  } finally {
    await lock.release();
  }
}

/** Makes a further operator's token; the server must not run. */
export async function createAdminToken(directory: string, name: string, now: Now = systemNow): Promise<string> {
  await requireInitialised(directory);
  const lock = await lockDataFolder(directory);
  try {
    const token = newSecret('admin');
    await withTokens(parts(directory).database, (tokens) => tokens.addApiToken(hashSecret(token), name, now()));
    return token;
  } finally {
    await lock.release();
  }
}

export interface RunningServer {
  httpUrl: string;
  mqttUrl: string;
  close(): Promise<void>;
}

export interface ServerOptions {
  config: ServerConfig;
  log: Logger;
  now?: Now;
  /** The database's thread died: nothing can go on. */
  onFatal: (error: Error) => void;
}

/** Starts everything; resolves when it listens. What was started is closed again when a later part fails. */
export async function startServer({ config, log, now = systemNow, onFatal }: ServerOptions): Promise<RunningServer> {
  const directory = config.data.directory;
  const paths = parts(directory);
  await requireInitialised(directory);
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    const lock = await lockDataFolder(directory);
    closers.push(() => lock.release());
    await rm(paths.temporary, { recursive: true, force: true });
    await privateFolder(paths.temporary);
    const tuf = await openTrust(directory, now);
    await tuf.renew();
    const database = await PgliteDatabase.open(paths.database, onFatal);
    closers.push(() => database.close());
    const devices = new DeviceRepository(database);
    const releases = new ReleaseRepository(database);
    const received = new IngestRepository(database);
    const tokens = new TokenRepository(database);
    const blobs = await FolderObjectStore.open(paths.blobs);
    const pictures = await FolderObjectStore.open(paths.snapshots);
    await devices.markAllOffline();

    let mqttUrl = '';
    const facts = {
      mqttUrl: () => config.mqtt.publicUrl ?? mqttUrl,
      serverKeys: () => tuf.serverKeys().pems,
      tufRoot: () => tuf.rootText(),
    };
    const enrollment = new EnrollmentService(tokens, devices, () => broker, facts, now);
    const ingest = new IngestService(received, pictures, () => broker, log, now);
    const broker: AedesBroker = await AedesBroker.create({
      ...config.mqtt,
      authenticate: enrollment.authenticate,
      onMessage: ingest.handle,
      log,
    });
    closers.push(async () => {
      await broker.close();
      await ingest.idle();
    });
    const source = {
      released: () => releases.released(),
      assigned: () => releases.assigned(),
      certificates: async () => (await releases.certified()).map(defaultCertificate),
      desired: (ids?: readonly string[]) => devices.desired(ids),
    };
    const publication = new Publication(source, blobs, tuf, broker);
    const verify = packageSandbox({
      timeoutMs: config.upload.verifyTimeoutSeconds * 1000,
      memoryBytes: config.upload.verifyMemoryMiB * 1024 * 1024,
    });
    const intake = new ReleaseIntake(
      paths.temporary,
      config.upload.maxBytes,
      verify,
      blobs,
      releases,
      publication,
      DEFAULT_POLICY,
      now,
    );
    const assignments = new AssignmentService(devices, releases, publication, now);
    const watch = trustWatch(tuf, log, now);
    watch();
    const maintenance = new Maintenance(publication, ingest, received, tokens, config.retention, log, now, watch);

    await publication.publishAll();
    const mqtt = await broker.listen();
    mqttUrl = `mqtt://${urlHost(config.mqtt.host)}:${mqtt.port}`;
    const http = await createHttpServer({
      log,
      version: await packageVersion(),
      operator: (token) => enrollment.operator(token),
      api: (app) => {
        releaseRoutes(app, releases, intake, (release) => publication.isPublished(release));
        trustRoutes(app, trustAdministration(tuf, publication));
        deviceRoutes(app, { devices, received, pictures, enrollment, assignments });
      },
      open: (app) => tufFileRoutes(app, () => tuf.metadata()),
      health: async () => ({
        ok: await releases.releasedCount().then(
          () => true,
          () => false,
        ),
        connections: broker.connections,
        chunks: publication.chunkCount,
        tuf: { ...tuf.versions(), waiting: tuf.waiting(), warnings: tuf.warnings() },
        ingest: ingest.counters,
      }),
    });
    closers.push(async () => {
      await http.close();
      await publication.idle();
    });
    await http.listen({ host: config.http.host, port: config.http.port });
    const { port } = http.server.address() as { port: number };
    const httpUrl = config.http.publicUrl ?? `http://${urlHost(config.http.host)}:${port}`;
    maintenance.start();
    closers.push(() => maintenance.stop());
    log.info({ http: httpUrl, mqtt: facts.mqttUrl() }, 'listening');
    return { httpUrl, mqttUrl: facts.mqttUrl(), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function requireInitialised(directory: string): Promise<void> {
  if (await exists(parts(directory).marker)) return;
  throw new DataFolderError(
    `${directory}: is no initialised data folder; make one with: vigie-server init --data ${directory}`,
  );
}

async function withTokens(directory: string, use: (tokens: TokenRepository) => Promise<void>): Promise<void> {
  // A lost thread rejects whatever is under way.
  const database = await PgliteDatabase.open(directory, () => undefined);
  try {
    await use(new TokenRepository(database));
  } finally {
    await database.close();
  }
}

async function packageVersion(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
