import { access, readFile, rm } from 'node:fs/promises';
import type { Server as HttpsServer } from 'node:https';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { openBroker, type RunningBroker } from './broker-wiring.js';
import type { ServerConfig } from './config.js';
import { privateFolder, writeAtomic } from './io/atomic-file.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import { CertificateRepository } from './io/database/certificate-repository.js';
import { DeviceRepository } from './io/database/device-repository.js';
import { IngestRepository } from './io/database/ingest-repository.js';
import { PgliteDatabase } from './io/database/pglite-database.js';
import { ReleaseRepository } from './io/database/release-repository.js';
import { TokenRepository } from './io/database/token-repository.js';
import { FolderObjectStore } from './io/folder-object-store.js';
import { packageSandbox } from './io/package-sandbox.js';
import { Authority } from './io/pki/authority.js';
import { createTrust, ONLINE_TRUST, type TrustOptions } from './io/tuf/trust-setup.js';
import type { Now } from './ports.js';
import { defaultCertificate } from './registry/certification.js';
import { DEFAULT_POLICY } from './registry/release-state.js';
import { deviceRoutes } from './routes/device-routes.js';
import { enrollmentRoutes } from './routes/enrollment-routes.js';
import { createHttpServer, type TlsOptions } from './routes/http-server.js';
import { objectRoutes } from './routes/object-routes.js';
import { releaseRoutes } from './routes/release-routes.js';
import { trustRoutes, tufFileRoutes } from './routes/tuf-routes.js';
import { enrollmentToken, hashSecret, newSecret } from './secrets.js';
import { AccessService } from './services/access.js';
import { AssignmentService } from './services/assignment.js';
import { EnrollmentService } from './services/enrollment.js';
import { IngestService } from './services/ingest.js';
import { Maintenance } from './services/maintenance.js';
import { ObjectAccess } from './services/object-access.js';
import { Publication } from './services/publication.js';
import { ReleaseIntake } from './services/release-intake.js';
import { RevocationService } from './services/revocation.js';
import { openPki } from './tls-wiring.js';
import { openTrust, trustAdministration, trustWatch } from './trust-wiring.js';

/** The data folder cannot be used as it is; the message says what to do. */
export class DataFolderError extends Error {
  readonly code = 'DATA_FOLDER_UNUSABLE';
}

/** Parts of a data folder. */
const parts = (directory: string) => ({
  database: join(directory, 'database'),
  /** The fleet's certificate authority. */
  pki: join(directory, 'pki'),
  blobs: join(directory, 'blobs'),
  snapshots: join(directory, 'snapshots'),
  temporary: join(directory, 'tmp'),
  /** Written last by `init`: without it the folder is not complete. */
  marker: join(directory, 'vigie-server.json'),
});

/** 2: with a certificate authority. An older folder gets one at its next start, and its boards enrol again. */
const LAYOUT = 2;

const systemNow: Now = () => new Date();

export interface Initialised {
  dataDirectory: string;
  adminToken: string;
  /** With the fingerprint of the authority behind the point. */
  enrollmentToken: string;
  /** Private keys to carry away: they are nowhere else. */
  offlineKeys: string[];
}

/** Makes keys, certificate authority, TUF repository, database, the first operator's token and an enrolment token. An interrupted one may be repeated. */
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
    const authority = await Authority.create(paths.pki, now());
    await privateFolder(paths.database);
    const adminToken = newSecret('admin');
    const secret = newSecret('enrollment');
    await withTokens(paths.database, async (tokens) => {
      const at = now();
      await tokens.addApiToken(hashSecret(adminToken), 'first admin', at);
      await tokens.addEnrollmentToken(hashSecret(secret), at, new Date(at.getTime() + 7 * 86_400_000));
    });
    await writeMarker(paths.marker, now());
    const token = enrollmentToken(secret, authority.fingerprint);
    return { dataDirectory: directory, adminToken, enrollmentToken: token, offlineKeys };
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
  httpsUrl: string;
  mqttUrl: string;
  mqttsUrl: string;
  /** Certificate of the fleet's authority, PEM. */
  authority: string;
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
    if ((await layoutOf(paths.marker)) < LAYOUT) {
      await Authority.create(paths.pki, now());
      await writeMarker(paths.marker, now());
    }
    const pki = await openPki(paths.pki, config, now());
    const database = await PgliteDatabase.open(paths.database, onFatal);
    closers.push(() => database.close());
    const devices = new DeviceRepository(database);
    const releases = new ReleaseRepository(database);
    const received = new IngestRepository(database);
    const tokens = new TokenRepository(database);
    const certificates = new CertificateRepository(database);
    const blobs = await FolderObjectStore.open(paths.blobs);
    const pictures = await FolderObjectStore.open(paths.snapshots);
    await devices.markAllOffline();

    let ports = { https: 0, plain: 0, secure: 0 };
    const facts = {
      urls: (host: string) => ({
        mqtt: config.mqtts.publicUrl ?? `mqtts://${host}:${ports.secure}`,
        https: config.https.publicUrl ?? `https://${host}:${ports.https}`,
      }),
      serverKeys: () => tuf.serverKeys().pems,
      tufRoot: () => tuf.rootText(),
    };
    const revocations = new RevocationService(certificates, () => broker, pki.writeRevocationList, log, now);
    const access = new AccessService(tokens, devices, certificates, revocations, now);
    const enrollment = new EnrollmentService(tokens, certificates, revocations, () => broker, pki.issuer, facts, now);
    const ingest = new IngestService(received, pictures, () => broker, log, now);
    const duties = {
      authenticate: access.authenticate,
      onMessage: ingest.handle,
      forgetPresence: () => devices.markAllOffline(),
      republish: () => publication.publishAll(),
    };
    const broker: RunningBroker = await openBroker(config, pki, duties, log, now);
    closers.push(async () => {
      await broker.close();
      await ingest.idle();
      await revocations.idle();
    });
    const source = {
      released: () => releases.released(),
      assigned: () => releases.assigned(),
      certificates: async () => (await releases.certified()).map(defaultCertificate),
      desired: (ids?: readonly string[]) => devices.desired(ids),
    };
    const publication: Publication = new Publication(source, blobs, tuf, broker);
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
    const served = {
      releasedObject: async (sha256: string) => publication.smallTarget(sha256) ?? releases.releasedObject(sha256),
    };
    const objects = new ObjectAccess(served, blobs, () => performance.now());
    const assignments = new AssignmentService(devices, releases, publication, now);
    await publication.publishAll();
    await revocations.publish();
    ports = { ...ports, ...(await broker.listen()) };
    const version = await packageVersion();
    const listen = async (tls: TlsOptions | null, { host, port }: { host: string; port: number }) => {
      const app = await createHttpServer({
        log,
        version,
        tls,
        operator: (token) => access.operator(token),
        api: (scope) => {
          releaseRoutes(scope, releases, intake, (release) => publication.isPublished(release));
          trustRoutes(scope, trustAdministration(tuf, publication));
          deviceRoutes(scope, { devices, received, pictures, revocations, assignments });
          enrollmentRoutes(scope, enrollment);
          objectRoutes(scope, objects, tls === null ? {} : { device: true });
        },
        open: (scope) => tufFileRoutes(scope, () => tuf.metadata()),
        health: async () => ({
          ok: await releases.releasedCount().then(
            () => true,
            () => false,
          ),
          broker: broker.state,
          connections: broker.connections,
          chunks: publication.chunkCount,
          tuf: { ...tuf.versions(), waiting: tuf.waiting(), warnings: tuf.warnings() },
          ingest: ingest.counters,
        }),
      });
      closers.push(() => app.close());
      await app.listen({ host, port });
      return { server: app.server, port: (app.server.address() as { port: number }).port };
    };
    closers.push(() => publication.idle());
    const https = await listen(pki.httpsOptions(access), config.https);
    ports.https = https.port;
    const http = await listen(null, config.http);
    const watchTrust = trustWatch(tuf, log, now);
    watchTrust();
    const maintenance = new Maintenance(publication, ingest, received, tokens, config.retention, log, now, async () => {
      watchTrust();
      const graceMs = config.tls.renewalGraceDays * 86_400_000;
      await certificates.dropExpired(new Date(now().getTime() - graceMs));
      if (!(await pki.certificate.renew(now()))) return;
      await broker.setCredentials(pki.certificate.credentials);
      (https.server as HttpsServer).setSecureContext(pki.secureContext());
      log.info({}, "the server's certificate was renewed");
    });
    const urls = {
      http: config.http.publicUrl ?? `http://${urlHost(config.http.host)}:${http.port}`,
      https: config.https.publicUrl ?? `https://${urlHost(config.https.host)}:${https.port}`,
      mqtt: config.mqtt.broker?.url ?? `mqtt://${urlHost(config.mqtt.host)}:${ports.plain}`,
      mqtts: config.mqtts.publicUrl ?? `mqtts://${urlHost(config.mqtts.host)}:${ports.secure}`,
    };
    maintenance.start();
    closers.push(() => maintenance.stop());
    log.info(urls, 'listening');
    return {
      httpUrl: urls.http,
      httpsUrl: urls.https,
      mqttUrl: urls.mqtt,
      mqttsUrl: urls.mqtts,
      authority: pki.authority.certificate,
      close,
    };
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

async function layoutOf(marker: string): Promise<number> {
  return (JSON.parse(await readFile(marker, 'utf8')) as { layout: number }).layout;
}

async function writeMarker(path: string, at: Date): Promise<void> {
  await writeAtomic(path, `${JSON.stringify({ layout: LAYOUT, initialisedAt: at.toISOString() })}\n`);
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
