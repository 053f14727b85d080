import type { Readable } from 'node:stream';
import type { ObjectStore } from '../ports.js';

/** Which objects boards may have, and how large they are. */
export interface ServedObjects {
  /** Bytes of a file or descriptor of a listed release; null: no such object is served. */
  listedObject(sha256: string): Promise<number | null>;
}

/** Transfers at the same time: of all readers, and of one board. More are told to come back. */
export interface TransferLimits {
  all: number;
  each: number;
}

export type Admission = { ok: true; leave: () => void } | { ok: false };

/** How long an answer about an object is believed, ms: a withdrawn release is served no longer than this. */
const BELIEVED_MS = 5000;
const MAX_KNOWN = 4096;

/** Gives out the bytes of listed releases, to a bounded number of readers. `now`: monotonic, ms. */
export class ObjectAccess {
  readonly #known = new Map<string, { size: number | null; at: number }>();
  readonly #transfers = new Map<string, number>();
  #all = 0;

  constructor(
    private readonly served: ServedObjects,
    private readonly objects: ObjectStore,
    private readonly now: () => number,
    private readonly limits: TransferLimits = { all: 256, each: 4 },
  ) {}

  /** Bytes of the object; null: it is none that boards may have. */
  async sizeOf(sha256: string): Promise<number | null> {
    const known = this.#known.get(sha256);
    if (known !== undefined && this.now() - known.at < BELIEVED_MS) return known.size;
    const size = await this.served.listedObject(sha256);
    this.#known.delete(sha256);
    this.#known.set(sha256, { size, at: this.now() });
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
    return size;
  }

  /** A place among the readers; `leave` gives it back and may be called twice. `device`: null for an operator. */
  enter(device: string | null): Admission {
    const reader = device ?? '';
    const own = this.#transfers.get(reader) ?? 0;
    if (this.#all >= this.limits.all || (device !== null && own >= this.limits.each)) return { ok: false };
    this.#all += 1;
    this.#transfers.set(reader, own + 1);
    let inside = true;
    return {
      ok: true,
      leave: () => {
        if (!inside) return;
        inside = false;
        this.#all -= 1;
        const left = (this.#transfers.get(reader) ?? 1) - 1;
        if (left === 0) this.#transfers.delete(reader);
        else this.#transfers.set(reader, left);
      },
    };
  }

  /** The bytes. Throws ObjectMissingError. */
  read(sha256: string, part: { offset: number; length: number }): Promise<Readable> {
    return this.objects.read(sha256, part);
  }
}
