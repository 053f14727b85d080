import type { Logger } from 'pino';
import type { LeaseRepository } from '../io/database/lease-repository.js';
import { byTheWay } from './deed.js';

/** Work that comes back, done by one replica at a time. */
export interface Duty {
  name: string;
  everyMs: number;
  run(): Promise<void>;
}

const LEASE = 'duties';
const LEASE_MS = 15_000;

/**
 * Runs duties, each at its own pace, while this process holds the lease; renews it as long as it lives. A duty that begins
 * may outlive the lease (a stalled process): what it writes must be guarded by the database, not by this.
 */
export class DutyRunner {
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #holds = false;
  #stopped = false;

  constructor(
    private readonly leases: LeaseRepository,
    /** Unique to this process. */
    private readonly holder: string,
    private readonly duties: readonly Duty[],
    private readonly log: Logger,
    private readonly leaseMs = LEASE_MS,
    /** Told after each run. */
    private readonly observe: (duty: string, seconds: number, ok: boolean) => void = () => undefined,
  ) {}

  get holds(): boolean {
    return this.#holds;
  }

  async start(): Promise<void> {
    await this.#renew();
    this.#timers.push(setInterval(() => void this.#renew(), this.leaseMs / 3));
    for (const duty of this.duties) {
      this.#timers.push(setInterval(() => this.#begin(duty), duty.everyMs));
      this.#begin(duty);
    }
    for (const timer of this.#timers) timer.unref();
  }

  /** Does a duty now, where it is this process's turn; once more, if it is running already. */
  wake(name: string): void {
    const duty = this.duties.find((one) => one.name === name);
    if (duty === undefined) throw new RangeError(`no duty "${name}"`);
    if (this.#running.has(name)) this.#again.add(name);
    else this.#begin(duty);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#running.values());
    if (this.#holds) await this.leases.release(LEASE, this.holder).catch(() => undefined);
    this.#holds = false;
  }

  async #renew(): Promise<void> {
    if (this.#stopped) return;
    const held = this.#holds;
    try {
      this.#holds = await this.leases.take(LEASE, this.holder, this.leaseMs);
    } catch (error) {
      this.#holds = false;
      this.log.error({ err: error }, 'the lease could not be renewed');
    }
    if (held !== this.#holds) this.log.info({ holder: this.holder, holds: this.#holds }, 'lease of the duties');
    if (!held && this.#holds && this.#timers.length > 0) for (const duty of this.duties) this.#begin(duty);
  }

  #begin(duty: Duty): void {
    if (this.#stopped || !this.#holds || this.#running.has(duty.name)) return;
    const began = performance.now();
    const done = (ok: boolean) => this.observe(duty.name, (performance.now() - began) / 1000, ok);
    // A request may have woken it: what it does is not that request's deed.
    const run = byTheWay(() => duty.run())
      .then(
        () => done(true),
        (error: Error) => {
          done(false);
          this.log.error({ duty: duty.name, err: error }, 'a duty failed');
        },
      )
      .finally(() => {
        this.#running.delete(duty.name);
        if (this.#again.delete(duty.name)) this.#begin(duty);
      });
    this.#running.set(duty.name, run);
  }
}
