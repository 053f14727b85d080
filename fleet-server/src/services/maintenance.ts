import type { Logger } from 'pino';
import type { ServerConfig } from '../config.js';
import type { IngestRepository } from '../io/database/ingest-repository.js';
import type { TokenRepository } from '../io/database/token-repository.js';
import type { Now } from '../ports.js';
import type { History } from './history-growth.js';
import type { IngestService } from './ingest.js';
import type { Publication } from './publication.js';

const EVERY_MS = 60_000;
/** A history may grow by one part in so many before it is cut: each cut is a statement per device. */
const SLACK = 4;
const DAY = 86_400_000;

/** What has to be done from time to time: signatures renewed, histories kept within their bounds. */
export class Maintenance {
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly publication: Publication,
    private readonly ingest: IngestService,
    private readonly repository: IngestRepository,
    private readonly tokens: TokenRepository,
    private readonly retention: ServerConfig['retention'],
    private readonly log: Logger,
    private readonly now: Now,
    /** Certificates, and what operators should hear about. */
    private readonly upkeep: () => Promise<void>,
    /** Is it this replica's turn to sign what expires? */
    private readonly mayRenew: () => boolean,
  ) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.#running = this.#running
        .then(() => this.round())
        .catch((error: Error) => this.log.error({ err: error }, 'maintenance failed'));
    }, EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  async round(): Promise<void> {
    if (this.mayRenew()) await this.publication.renew();
    await this.publication.tidy();
    await this.upkeep();
    const worthIt = (history: History) => Math.ceil(this.retention[history] / SLACK);
    for (const { deviceId, history } of this.ingest.growth.take(worthIt)) {
      if (history === 'snapshots') await this.ingest.pruneSnapshots(deviceId, this.retention.snapshots);
      else await this.repository.prune(history, deviceId, this.retention[history]);
    }
    await this.tokens.dropEnrollmentTokens(new Date(this.now().getTime() - 30 * DAY));
  }
}
