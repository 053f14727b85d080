import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Server as HttpsServer } from 'node:https';
import type { Logger } from 'pino';
import { openBroker, type RunningBroker } from './broker-wiring.js';
import type { ServerConfig } from './config.js';
import { parts, requireInitialised, upgradeLayout } from './data-folder-wiring.js';
import { privateFolder } from './io/atomic-file.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import { ActivityRepository } from './io/database/activity-repository.js';
import { AuditedDatabase } from './io/database/audited-database.js';
import { CertificateRepository } from './io/database/certificate-repository.js';
import { DeviceRepository } from './io/database/device-repository.js';
import { GrantRepository } from './io/database/grant-repository.js';
import { IngestRepository } from './io/database/ingest-repository.js';
import { LabRepository } from './io/database/lab-repository.js';
import { LabelNeedsRepository } from './io/database/label-needs-repository.js';
import { LeaseRepository } from './io/database/lease-repository.js';
import { ReleaseRepository } from './io/database/release-repository.js';
import { TokenRepository } from './io/database/token-repository.js';
import { packageVersion } from './package-version.js';
import type { Now } from './ports.js';
import { defaultCertificate, mergeCertificates } from './registry/certification.js';
import { enrollmentRoutes } from './routes/enrollment-routes.js';
import { createHttpServer, type TlsOptions } from './routes/http-server.js';
import { objectRoutes } from './routes/object-routes.js';
import { trustRoutes, tufFileRoutes } from './routes/tuf-routes.js';
import { AccessService } from './services/access.js';
import { AssignmentService } from './services/assignment.js';
import { DutyRunner } from './services/duties.js';
import { EnrollmentService } from './services/enrollment.js';
import { IngestService } from './services/ingest.js';
import { LabelGuard } from './services/label-guard.js';
import { Maintenance } from './services/maintenance.js';
import { ObjectAccess } from './services/object-access.js';
import { PresenceCheck } from './services/presence-check.js';
import { Publication } from './services/publication.js';
import { RevocationService } from './services/revocation.js';
import { openPki } from './tls-wiring.js';
import { openTrust, trustAdministration, trustStorage, trustWatch } from './trust-wiring.js';
import { wireAccess } from './wiring/access-wiring.js';
import { openDatabase } from './wiring/database-wiring.js';
import { wireDevices } from './wiring/device-wiring.js';
import type { Core, Feature } from './wiring/feature-wiring.js';
import { wireGates } from './wiring/gates-wiring.js';
import { wireNotifications } from './wiring/notification-wiring.js';
import { openObjects } from './wiring/object-wiring.js';
import { wireOperations } from './wiring/operation-wiring.js';
import { wireRegistry } from './wiring/registry-wiring.js';
import {
  connectionName,
  followBeforeChanges,
  followTrust,
  openReplicas,
  publicationDuties,
} from './wiring/replica-wiring.js';
import { wireRollouts } from './wiring/rollout-wiring.js';

const systemNow: Now = () => new Date();

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
    await upgradeLayout(directory, now());
    const pki = await openPki(paths.pki, config, now());
    const opened = await openDatabase(config.database, paths.database, { log, onLost: onFatal });
    const database = new AuditedDatabase(opened);
    closers.push(() => database.close());
    const tuf = await openTrust(directory, trustStorage(directory, database), now);
    await tuf.renew();
    const devices = new DeviceRepository(database);
    const activity = new ActivityRepository(database);
    const releases = new ReleaseRepository(database, activity);
    const received = new IngestRepository(database);
    const tokens = new TokenRepository(database);
    const certificates = new CertificateRepository(database);
    const grants = new GrantRepository(database);
    const lab = new LabRepository(database);
    const { blobs, pictures } = await openObjects(config.objects, paths);
    // Only one process has an embedded database open: what it held before its end is its own at once.
    const holder = database.engine === 'pglite' ? 'single' : randomUUID();
    const replicas = await openReplicas(config, database, holder, log);
    closers.push(() => replicas.stop());
    // An external broker has boards that are connected already, and says so.
    if (config.mqtt.broker === undefined) await devices.markAllOffline();

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
    // Boards log in by the thousand; operators do not wait behind them.
    const fleet = database.ranked('fleet');
    const access = new AccessService(tokens, devices, new CertificateRepository(fleet), revocations, now);
    const { approval } = config.enrollment;
    const { issuer } = pki;
    const enrollment = new EnrollmentService(
      tokens,
      certificates,
      revocations,
      () => broker,
      issuer,
      facts,
      now,
      approval,
    );
    const ingest = new IngestService(new IngestRepository(fleet), pictures, () => broker, log, now);
    const presence = new PresenceCheck(
      () => devices.markAllOffline(),
      (heard, before) => devices.markOfflineExcept(heard, before),
      () => replicas.others.length === 0,
      now,
      (error) => log.error({ err: error }, 'who is online could not be found out'),
    );
    closers.push(async () => presence.stop());
    const brokerDuties = {
      authenticate: access.authenticate,
      onMessage: presence.watching(ingest.handle),
      onConnect: () => presence.onConnect(),
      republish: () => publication.publishAll(),
      onLost: onFatal,
    };
    const broker: RunningBroker = await openBroker(
      config,
      connectionName(replicas, config, database),
      pki,
      brokerDuties,
      log,
      now,
    );
    closers.push(async () => {
      ingest.stop();
      await broker.close();
      await ingest.idle();
      await revocations.idle();
    });
    const source = {
      listed: () => releases.listed(),
      assigned: async () => releases.assigned(await lab.measured()),
      certificates: async () =>
        mergeCertificates((await releases.certifiedByDefault()).map(defaultCertificate), await grants.certificates()),
      desired: (ids?: readonly string[]) => devices.desired(ids),
    };
    const publication: Publication = new Publication(source, blobs, tuf, broker, () => isMyTurn());
    const served = {
      listedObject: async (sha256: string) => publication.smallTarget(sha256) ?? releases.listedObject(sha256),
    };
    const objects = new ObjectAccess(served, blobs, () => performance.now());
    const labels = new LabelGuard(new LabelNeedsRepository(database));
    const assignments = new AssignmentService(devices, releases, publication, labels, activity, now);
    const core: Core = {
      ...{ config, log, now, temporary: paths.temporary, database, devices, releases, received, tokens, certificates },
      ...{ activity, blobs, pictures, broker, tuf, publication, assignments, labels, ingest, access, revocations },
      wake: (duty) => duties.wake(duty),
    };
    const version = packageVersion();
    const boards = wireDevices(core);
    const registry = await wireRegistry(core);
    const surface = wireAccess(core);
    const operations = wireOperations(core, version);
    const features: Feature[] = [
      registry,
      wireGates(core, { grants, lab }, registry),
      boards,
      wireRollouts(core, source.certificates),
      surface,
      await wireNotifications(core),
      operations,
    ];
    for (const feature of features) closers.push(async () => feature.close?.());
    const duties = new DutyRunner(
      new LeaseRepository(database),
      holder,
      [...features.flatMap((feature) => feature.duties ?? []), ...publicationDuties(config, publication, devices)],
      log,
      undefined,
      operations.observeDuty,
    );
    const isMyTurn = () => duties.holds || replicas.others.length === 0;
    await publication.publishAll();
    await revocations.publish();
    ports = { ...ports, ...(await broker.listen()) };
    const listen = async (tls: TlsOptions | null, { host, port }: { host: string; port: number }) => {
      const app = await createHttpServer({
        log,
        version,
        tls,
        trustedProxies: config.access.trustedProxies,
        protect: (scope, secure) => surface.protect(scope, secure),
        api: (scope) => {
          followBeforeChanges(scope, database, publication);
          trustRoutes(scope, trustAdministration(tuf, publication));
          enrollmentRoutes(scope, enrollment);
          objectRoutes(scope, objects, tls === null ? {} : { device: true });
          for (const feature of features) feature.routes?.(scope, { tls: tls !== null });
        },
        open: (scope) => {
          tufFileRoutes(scope, () => tuf.metadata());
          for (const feature of features) feature.open?.(scope);
        },
        health: async () => ({
          ok: await releases.releasedCount().then(
            () => true,
            () => false,
          ),
          replica: replicas.name,
          leader: duties.holds,
          replicas: [replicas.name, ...replicas.others].sort(),
          broker: broker.state,
          connections: broker.connections,
          chunks: publication.chunkCount,
          tuf: { ...tuf.versions(), waiting: tuf.waiting(), warnings: tuf.warnings() },
          ingest: ingest.counters,
          ...Object.assign({}, ...features.map((feature) => feature.health?.())),
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
    const maintenance = new Maintenance(
      publication,
      ingest,
      received,
      tokens,
      config.retention,
      log,
      now,
      async () => {
        watchTrust();
        const graceMs = config.tls.renewalGraceDays * 86_400_000;
        await certificates.dropExpired(new Date(now().getTime() - graceMs));
        if (!(await pki.certificate.renew(now()))) return;
        await broker.setCredentials(pki.certificate.credentials);
        (https.server as HttpsServer).setSecureContext(pki.secureContext());
        log.info({}, "the server's certificate was renewed");
      },
      isMyTurn,
    );
    const urls = {
      http: config.http.publicUrl ?? `http://${urlHost(config.http.host)}:${http.port}`,
      https: config.https.publicUrl ?? `https://${urlHost(config.https.host)}:${https.port}`,
      mqtt: config.mqtt.broker?.url ?? `mqtt://${urlHost(config.mqtt.host)}:${ports.plain}`,
      mqtts: config.mqtts.publicUrl ?? `mqtts://${urlHost(config.mqtts.host)}:${ports.secure}`,
    };
    maintenance.start();
    closers.push(() => maintenance.stop());
    await duties.start();
    closers.push(() => duties.stop());
    const unfollow = followTrust(database, publication, log);
    closers.push(async () => unfollow());
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

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
