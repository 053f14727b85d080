import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { ServerConfig } from '../config.js';
import type { ActivityRepository } from '../io/database/activity-repository.js';
import type { CertificateRepository } from '../io/database/certificate-repository.js';
import type { Database } from '../io/database/database.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { IngestRepository } from '../io/database/ingest-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { TokenRepository } from '../io/database/token-repository.js';
import type { Broker, Now, ObjectStore, TargetRepository } from '../ports.js';
import type { AccessService } from '../services/access.js';
import type { AssignmentService } from '../services/assignment.js';
import type { Duty } from '../services/duties.js';
import type { IngestService } from '../services/ingest.js';
import type { LabelGuard } from '../services/label-guard.js';
import type { Publication } from '../services/publication.js';
import type { RevocationService } from '../services/revocation.js';

/** What every area of the server stands on. */
export interface Core {
  config: ServerConfig;
  log: Logger;
  now: Now;
  /** Folder for files under way, emptied at each start. */
  temporary: string;
  database: Database;
  devices: DeviceRepository;
  releases: ReleaseRepository;
  received: IngestRepository;
  tokens: TokenRepository;
  certificates: CertificateRepository;
  activity: ActivityRepository;
  blobs: ObjectStore;
  pictures: ObjectStore;
  broker: Broker;
  tuf: TargetRepository;
  publication: Publication;
  assignments: AssignmentService;
  labels: LabelGuard;
  ingest: IngestService;
  access: AccessService;
  revocations: RevocationService;
  /** Does a duty now instead of at its next turn, where this process holds the lease. */
  wake: (duty: string) => void;
}

/** One area of the server: its routes, and what it does by itself. */
export interface Feature {
  /** Under `/api/v1`, on every listener; `tls`: this one has TLS. */
  routes?(app: FastifyInstance, listener: { tls: boolean }): void;
  /** Outside `/api/v1`, for everybody. */
  open?(app: FastifyInstance): void;
  /** Its part of `/health`. */
  health?(): Record<string, unknown>;
  duties?: readonly Duty[];
  close?(): Promise<void>;
}
