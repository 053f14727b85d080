import type { Logger } from 'pino';
import type { LeaseRepository } from '../io/database/lease-repository.js';

const PREFIX = 'replica:';
const LEASE_MS = 15_000;

/** Who else runs on this database: each server keeps a lease under its name for as long as it lives. */
export class Replicas {
  #timer: NodeJS.Timeout | null = null;
  #others: string[] = [];

  constructor(
    private readonly leases: LeaseRepository,
    /** Its own among the replicas, over restarts. */
    readonly name: string,
    /** Unique to this process. */
    private readonly process: string,
    private readonly log: Logger,
  ) {}

  /** Names of the other servers that lived a few seconds ago. */
  get others(): readonly string[] {
    return this.#others;
  }

  /** Says that this one is here, and looks who else is. */
  async start(): Promise<void> {
    await this.#beat(false);
    this.#timer = setInterval(() => {
      this.#beat(true).catch((error: Error) =>
        this.log.warn({ err: error.message }, 'the replica could not say that it lives'),
      );
    }, LEASE_MS / 3);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.leases.release(PREFIX + this.name, this.process).catch(() => undefined);
  }

  async #beat(running: boolean): Promise<void> {
    const before = await this.leases.seize(PREFIX + this.name, this.process, LEASE_MS);
    // At a start it was this one before its end; later there are two, which take each other's sessions on the broker.
    if (running && before !== null)
      this.log.error(
        { replica: this.name },
        'another server runs under the name of this one; give each its replica.name',
      );
    const alive = await this.leases.alive(PREFIX);
    this.#others = alive.map((one) => one.slice(PREFIX.length)).filter((one) => one !== this.name);
  }
}
