import { TUF_INDEX_TOPIC } from '@vigie/protocol';
import type { Clock, Link } from '../ports.js';
import type { Log } from '../update/ports.js';

export interface TufWatchOptions {
  link: Link;
  clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number;
  refresh(signal: AbortSignal): Promise<void>;
  log: Log;
  timing?: Partial<typeof TIMING>;
}

const TIMING = {
  /** A fleet hears of new metadata in one moment; each board waits a random part of this. ms. */
  spreadMs: 3000,
  /** Never more often than this, whatever the broker sends. ms. */
  everyMs: 5000,
  /** First and longest wait after a failure. ms. */
  retryMs: 15_000,
  longestRetryMs: 900_000,
};

/** Refreshes the metadata when the retained index says that there is something new, so that withdrawals and new keys are noticed. */
export class TufWatch {
  private readonly timing: typeof TIMING;
  private readonly closed = new AbortController();
  private seen: Buffer | null = null;
  private cancel: (() => void) | null = null;
  private lastAt = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private unsubscribe: (() => Promise<void>) | null = null;

  constructor(private readonly options: TufWatchOptions) {
    this.timing = { ...TIMING, ...options.timing };
  }

  async start(): Promise<void> {
    this.unsubscribe = await this.options.link.subscribe(TUF_INDEX_TOPIC, (payload) => {
      // Every other reader of this topic makes the broker send it again.
      if (this.seen?.equals(payload) === true) return;
      this.seen = Buffer.from(payload);
      this.failures = 0;
      this.schedule(this.options.random() * this.timing.spreadMs);
    });
  }

  async stop(): Promise<void> {
    this.closed.abort();
    this.cancel?.();
    await this.unsubscribe?.();
  }

  private schedule(waitMs: number): void {
    if (this.closed.signal.aborted) return;
    this.cancel?.();
    const { clock } = this.options;
    const wait = Math.max(waitMs, this.lastAt + this.timing.everyMs - clock.now());
    this.cancel = clock.after(wait, () => {
      this.cancel = null;
      this.lastAt = clock.now();
      void this.run();
    });
  }

  private async run(): Promise<void> {
    try {
      await this.options.refresh(this.closed.signal);
      this.failures = 0;
    } catch (error) {
      if (this.closed.signal.aborted) return;
      const full = Math.min(this.timing.longestRetryMs, this.timing.retryMs * 2 ** Math.min(this.failures, 10));
      this.failures += 1;
      const waitMs = Math.round(full / 2 + (this.options.random() * full) / 2);
      this.options.log.warn({ detail: (error as Error).message, waitMs }, 'TUF metadata not refreshed; tried again');
      // What was heard meanwhile has its own timer.
      if (this.cancel === null) this.schedule(waitMs);
    }
  }
}
