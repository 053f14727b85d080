import type { Clock } from '../../ports.js';
import { fullJitterMs } from '../../update/full-jitter.js';
import { InstallError } from '../../update/install-error.js';
import type { ChunkTransport, FetchContext, WantedChunk } from './chunk-transport.js';
import { pause } from './delivery-meter.js';
import type { HttpAnswer, HttpOpen } from './http-open.js';
import { type ByteRange, RangeAssembler } from './range-assembler.js';
import { retryAfterMs } from './retry-after.js';
import { isChunk } from './verified-chunk.js';

export interface HttpsChunkTransportOptions {
  open: HttpOpen;
  /** The fleet server, or a cache in front of it: `https://fleet.example`. */
  baseUrl: string;
  clock: Clock;
  /** 0..1. */
  random: () => number;
  /** Silence after which a transfer counts as cut, ms. */
  quietMs?: number;
  /** Failures in a row, without a byte between them, before the chunks count as missing. */
  attempts?: number;
  /** Bounds of the wait after a failure, ms. */
  backoffMs?: { first: number; longest: number };
}

/** No server makes a board wait longer, ms. */
const LONGEST_WAIT_MS = 3_600_000;
/** Times that one chunk may come with other bytes. */
const MAX_CORRUPT = 3;

/** The transfer broke off, or the answer made no sense: worth another attempt after `waitMs` (null: as backoff says). */
class TryAgain extends Error {
  constructor(
    message: string,
    readonly waitMs: number | null = null,
  ) {
    super(message);
  }
}

/**
 * Chunks as parts of files: `GET {baseUrl}/api/v1/objects/{file's SHA-256}` with `Range` (RFC 9110, section 14). Adjacent chunks come in
 * one transfer; one that was cut goes on at the byte where it stopped.
 */
export class HttpsChunkTransport implements ChunkTransport {
  readonly name = 'https';

  constructor(private readonly options: HttpsChunkTransportOptions) {}

  async fetch(wanted: readonly WantedChunk[], context: FetchContext): Promise<void> {
    const files = new Map<string, WantedChunk[]>();
    for (const chunk of wanted) {
      const { sha256 } = chunk.file;
      files.set(sha256, [...(files.get(sha256) ?? []), chunk]);
    }
    for (const [sha256, chunks] of files) {
      chunks.sort((a, b) => a.file.offset - b.file.offset);
      await new FileFetch(this.options, sha256, new RangeAssembler(chunks), context).run();
    }
  }
}

/** What is missing of one file. */
class FileFetch {
  private readonly quietMs: number;
  private readonly attempts: number;
  private readonly backoffMs: { first: number; longest: number };
  private readonly corrupt = new Map<string, number>();
  /** What the receiver of chunks threw: no fault of the line. */
  private refusal: { error: unknown } | null = null;

  constructor(
    private readonly options: HttpsChunkTransportOptions,
    private readonly sha256: string,
    private readonly assembler: RangeAssembler,
    private readonly context: FetchContext,
  ) {
    this.quietMs = options.quietMs ?? 20_000;
    this.attempts = options.attempts ?? 8;
    this.backoffMs = options.backoffMs ?? { first: 500, longest: 30_000 };
  }

  async run(): Promise<void> {
    const { clock, random } = this.options;
    const { meter, signal } = this.context;
    let furthest = -1;
    let failures = 0;
    for (let range = this.assembler.missing; range !== null; range = this.assembler.missing) {
      try {
        await this.transfer({ start: range.start, end: Math.min(range.end, range.start + meter.sliceBytes) });
      } catch (error) {
        signal.throwIfAborted();
        if (this.refusal !== null) throw this.refusal.error;
        if (!(error instanceof TryAgain)) throw error;
        const reached = this.assembler.missing?.start ?? Number.POSITIVE_INFINITY;
        failures = reached > furthest ? 1 : failures + 1;
        furthest = Math.max(furthest, reached);
        if (failures > this.attempts)
          throw new InstallError('CHUNK_MISSING', `${error.message}; ${failures} attempts in a row brought nothing`);
        const wait = error.waitMs ?? fullJitterMs(failures - 1, this.backoffMs, random());
        await pause(clock, Math.min(wait, LONGEST_WAIT_MS), signal);
      }
    }
  }

  /** One request: as much as comes of a range. Throws TryAgain, or what no further attempt would change. */
  private async transfer(range: ByteRange): Promise<void> {
    const { meter, signal } = this.context;
    await meter.reserve(range.end - range.start);
    await meter.pace(range.end - range.start, signal);
    const quiet = new AbortController();
    let cancel = (): void => {};
    const listen = (): void => {
      cancel();
      cancel = this.options.clock.after(this.quietMs, () => quiet.abort(new Error('silence')));
    };
    listen();
    try {
      const answer = await this.options.open(`${this.options.baseUrl}/api/v1/objects/${this.sha256}`, {
        headers: { range: `bytes=${range.start}-${range.end - 1}`, 'accept-encoding': 'identity' },
        signal: AbortSignal.any([signal, quiet.signal]),
      });
      let offset = this.startOf(answer, range.start);
      // A whole file brings what comes after this range too.
      const whole = answer.status === 200;
      const end = whole ? Number.POSITIVE_INFINITY : range.end;
      for await (const piece of answer.stream) {
        cancel();
        meter.count(piece.length);
        await this.take(offset, piece);
        offset += piece.length;
        // Leaving here ends the transfer and its connection: what an endless answer still holds is never read.
        if (offset > end || (whole && this.assembler.missing === null)) return;
        meter.check(Math.max(0, range.end - offset));
        listen();
      }
      if (offset < end) throw new TryAgain('the transfer ended early');
    } catch (error) {
      if (error instanceof InstallError || error instanceof TryAgain) throw error;
      throw new TryAgain(quiet.signal.aborted ? `silence of ${this.quietMs} ms` : (error as Error).message);
    } finally {
      cancel();
    }
  }

  /** Where in the file the body begins. Throws for every answer that holds no bytes of it. */
  private startOf({ status, headers }: HttpAnswer, wanted: number): number {
    if (status === 206) {
      const start = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(String(headers['content-range'] ?? ''))?.[1];
      if (start === undefined || Number(start) !== wanted)
        throw new TryAgain(`asked for bytes from ${wanted} on, "${String(headers['content-range'])}" came`);
      return wanted;
    }
    if (status === 200) {
      // The whole file although a part was asked for. What lies before the part would be thrown away.
      if (wanted === 0 || !this.context.meter.metered) return 0;
      throw new InstallError('DOWNLOAD_REFUSED', 'the server sends whole files only, and this line is metered');
    }
    // The server's own clock, where it tells: the board's may be wrong.
    const now = Date.parse(String(headers.date)) || this.options.clock.wall();
    const retryAfter = retryAfterMs(headers['retry-after'], now);
    if (status === 429) throw new TryAgain('the server answered 429', retryAfter);
    if (status >= 500) throw new TryAgain(`the server answered ${status}`, status === 503 ? retryAfter : null);
    throw new InstallError('DOWNLOAD_REFUSED', `the server answered ${status} for object ${this.sha256}`);
  }

  private async take(offset: number, piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const { taken, complete } = this.assembler.take(offset + at, piece.subarray(at));
      at += taken;
      if (complete !== null) await this.land(complete);
    }
  }

  private async land(bytes: Buffer): Promise<void> {
    const { sha256, length } = this.assembler.current as WantedChunk;
    if (isChunk({ sha256, length }, bytes)) {
      this.assembler.accept();
      await this.context.onChunk(sha256, bytes).catch((error: unknown) => {
        this.refusal = { error };
        throw error;
      });
      return;
    }
    this.assembler.reset();
    const times = (this.corrupt.get(sha256) ?? 0) + 1;
    this.corrupt.set(sha256, times);
    if (times > MAX_CORRUPT)
      throw new InstallError('CHUNK_CORRUPT', `chunk ${sha256} came with other bytes ${times} times`);
    throw new TryAgain(`chunk ${sha256} came with other bytes`);
  }
}
