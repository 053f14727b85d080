import { createHash } from 'node:crypto';
import type { DeliveryPolicy } from '@vigie/protocol';
import { InstallError } from './install-error.js';

/** How chunks come to a board. */
export type TransportName = 'mqtt' | 'https';

/** What the board's own configuration says of downloads (section `delivery`). */
export interface BoardDelivery {
  transport: 'auto' | TransportName;
  /** Bytes per second; 0: no limit. */
  maxBytesPerSecond: number;
  /** Bytes per calendar month (UTC); 0: no limit. */
  monthlyBytes: number;
  /** Each byte costs: none is thrown away to try another way. */
  metered: boolean;
}

/** What the fleet asks for in one assignment. */
export interface DeliveryOrder {
  generation: number;
  /** When the desired state was signed, ms since 1970. */
  issuedAt: number;
  policy: DeliveryPolicy;
}

/** What one download may do. */
export interface DeliveryPlan {
  /** In the order in which they are tried: the next one when the one before stalls. */
  transports: TransportName[];
  /** Null: no limit. */
  maxBytesPerSecond: number | null;
  /** Bytes of this assignment, thrown away ones and those of earlier starts included; null: no limit. */
  maxBytes: number | null;
  /** Bytes of all downloads in this calendar month; null: no limit. */
  monthlyBytes: number | null;
  metered: boolean;
}

/**
 * What board and fleet both allow: of each limit the stricter. `reachable` are the transports that this board has at all. Throws
 * InstallError DOWNLOAD_REFUSED when nothing remains.
 */
export function planDelivery(
  board: BoardDelivery,
  { transport: asked = 'auto', maxBytesPerSecond, maxBytes }: DeliveryPolicy,
  reachable: readonly TransportName[],
): DeliveryPlan {
  const allowed = (['mqtt', 'https'] as const).filter(
    (name) => (board.transport === 'auto' || board.transport === name) && (asked === 'auto' || asked === name),
  );
  if (allowed.length === 0) {
    throw new InstallError(
      'DOWNLOAD_REFUSED',
      `the fleet asks for a download by ${asked} and delivery.transport of this board allows ${board.transport} only; change one`,
    );
  }
  const usable = allowed.filter((name) => reachable.includes(name));
  if (usable.length === 0) {
    throw new InstallError(
      'DOWNLOAD_REFUSED',
      `only ${allowed.join(' and ')} is allowed, and this board has ${reachable.join(' and ') || 'no fleet'}; allow another transport`,
    );
  }
  return {
    // Another way begins where the first stopped, but what the first had half received is lost: bytes that cost.
    transports: board.metered ? usable.slice(0, 1) : usable,
    maxBytesPerSecond: stricter(board.maxBytesPerSecond || null, maxBytesPerSecond ?? null),
    maxBytes: maxBytes ?? null,
    monthlyBytes: board.monthlyBytes || null,
    metered: board.metered,
  };
}

function stricter(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/**
 * How long a board waits before its download, ms: a share of `jitterSeconds` that is its own for this generation, counted from the
 * moment of the assignment. It needs no memory, so that a restart does not begin to wait anew. `now`: ms since 1970.
 */
export function startDelayMs(deviceId: string, { generation, issuedAt, policy }: DeliveryOrder, now: number): number {
  const spread = (policy.jitterSeconds ?? 0) * 1000;
  if (spread === 0) return 0;
  const draw = createHash('sha256').update(`${deviceId}\n${generation}`).digest().readUInt32BE(0) / 2 ** 32;
  const share = Math.floor(draw * spread);
  return Math.min(share, Math.max(0, issuedAt + share - now));
}

/** Calendar month (UTC) of a moment, e.g. `2026-11`. `now`: ms since 1970. */
export function monthOf(now: number): string {
  return new Date(now).toISOString().slice(0, 7);
}
