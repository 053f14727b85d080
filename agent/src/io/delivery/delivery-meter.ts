import type { Clock } from '../../ports.js';
import type { DeliveryPlan } from '../../update/delivery.js';
import { InstallError } from '../../update/install-error.js';
import { TokenBucket } from '../../update/token-bucket.js';
import type { DataLedger } from './data-ledger.js';

const LEAST_SLICE_BYTES = 16_384;
const SLICE_SECONDS = 5;

/** Holds one download to its rate and its budgets, and counts what it takes from the line. */
export class DeliveryMeter {
  /** Bytes that came since this meter was made, thrown away ones included. */
  counted = 0;
  private readonly bucket: TokenBucket | null;

  constructor(
    private readonly plan: Pick<DeliveryPlan, 'maxBytesPerSecond' | 'maxBytes' | 'monthlyBytes' | 'metered'>,
    private readonly ledger: DataLedger,
    private readonly clock: Clock,
  ) {
    const rate = plan.maxBytesPerSecond;
    this.bucket = rate === null ? null : new TokenBucket(rate, clock.now());
  }

  /** Where each byte costs, none is taken that is not needed. */
  get metered(): boolean {
    return this.plan.metered;
  }

  /** How much to ask for at once, bytes: under a rate little, so that one waits between questions and no answer is held up. */
  get sliceBytes(): number {
    const rate = this.plan.maxBytesPerSecond;
    return rate === null ? Number.POSITIVE_INFINITY : Math.max(LEAST_SLICE_BYTES, rate * SLICE_SECONDS);
  }

  /** Throws InstallError DATA_BUDGET_EXCEEDED when so many bytes more do not fit into a budget. */
  check(bytes: number): void {
    const { maxBytes, monthlyBytes } = this.plan;
    const { generationBytes, monthBytes } = this.ledger;
    if (maxBytes !== null && generationBytes + bytes > maxBytes) {
      throw new InstallError(
        'DATA_BUDGET_EXCEEDED',
        `${bytes} bytes to fetch and ${generationBytes} fetched do not fit into the ${maxBytes} of this assignment; assign it again with more`,
      );
    }
    if (monthlyBytes !== null && monthBytes + bytes > monthlyBytes) {
      throw new InstallError(
        'DATA_BUDGET_EXCEEDED',
        `${bytes} bytes to fetch and ${monthBytes} fetched this month do not fit into the board's ${monthlyBytes}; raise delivery.dataBudgetMib or wait for the next month`,
      );
    }
  }

  /** To be awaited before so many bytes more may come: notes them as used. Throws DATA_BUDGET_EXCEEDED. */
  async reserve(bytes: number): Promise<void> {
    this.check(bytes);
    await this.ledger.reserve(bytes);
  }

  /** Waits as the rate demands before the next `bytes` are asked for or taken. Throws the signal's reason. */
  async pace(bytes: number, signal: AbortSignal): Promise<void> {
    const wait = this.bucket?.take(bytes, this.clock.now()) ?? 0;
    if (wait > 0) await pause(this.clock, wait, signal);
  }

  /** Bytes that came, needed or not. */
  count(bytes: number): void {
    this.counted += bytes;
    this.ledger.add(bytes);
  }
}

/** Waits. Throws the signal's reason. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
