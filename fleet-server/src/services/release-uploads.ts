import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import type { UploadEnd, UploadRecord, UploadRepository, UploadRow } from '../io/database/upload-repository.js';
import type { Now } from '../ports.js';
import type { ReleaseProvenance } from '../registry/release-facts.js';
import { checkPiece, type MlflowSource, type UploadFailure } from '../registry/upload.js';
import { byTheWay } from './deed.js';
import type { ReleaseIntake } from './release-intake.js';
import { Serial } from './serial.js';

/** How a piece of an upload came. `cut` and `full` (the disk is): what was read is kept. */
export interface PieceReceived {
  kind: 'all' | 'cut' | 'too-much' | 'full';
}

/** Files of uploads, which outlive the process. */
export interface PartialFiles {
  /** Name of the folder: another replica has another one. */
  readonly home: string;
  path(id: string): string;
  size(id: string): Promise<{ bytes: number; changedAt: Date | null }>;
  append(id: string, body: Readable, room: number): Promise<PieceReceived>;
  remove(id: string): Promise<void>;
  ids(): Promise<string[]>;
}

/** Gets a package from elsewhere into a file. */
export type FetchPackage = (
  source: MlflowSource,
  archive: string,
) => Promise<{ ok: true; provenance: ReleaseProvenance } | { ok: false; failure: UploadFailure }>;

export interface UploadLimits {
  maxBytes: number;
  /** Uploads that have not ended, of the whole fleet server. */
  maxOpen: number;
  /** An upload that gets no bytes for so long is dropped, ms. */
  expiryMs: number;
}

type Refusal<Code extends string> = { ok: false; code: Code; detail: string };
export type CreateResult = { ok: true; upload: UploadRecord } | Refusal<'UPLOAD_TOO_LARGE' | 'UPLOADS_FULL'>;
export type OffsetResult = { ok: true; upload: UploadRecord; offset: number } | LookupRefusal;
export type AppendResult =
  | { ok: true; offset: number }
  | LookupRefusal
  | (Refusal<'UPLOAD_OFFSET_WRONG' | 'UPLOAD_CLOSED' | 'UPLOAD_CUT' | 'UPLOAD_TOO_LARGE' | 'STORAGE_FULL'> & {
      offset: number;
    });
type LookupRefusal = Refusal<'UPLOAD_UNKNOWN'> | (Refusal<'UPLOAD_ELSEWHERE'> & { replica: string | null });

/** Ended uploads are told of for so long, ms. */
const REMEMBERED_MS = 30 * 86_400_000;

/**
 * Uploads that survive cuts and restarts: the bytes grow in a file, the row says what they shall be, and once all are there
 * they are verified behind the client's back. What was open when the process died goes on with `resume`.
 */
export class ReleaseUploads {
  /** Who writes into a file now, and how to end that. */
  readonly #writers = new Map<string, { abort: AbortController; done: Promise<unknown> }>();
  /** Who comes next waits here for the one before. */
  readonly #turns = new Map<string, Serial>();
  readonly #working = new Map<string, Promise<void>>();
  #closed = false;

  constructor(
    private readonly repository: UploadRepository,
    private readonly files: PartialFiles,
    private readonly intake: ReleaseIntake,
    private readonly fetchPackage: FetchPackage,
    private readonly limits: UploadLimits,
    /** Name of this server among the replicas. */
    private readonly replica: string,
    private readonly log: Logger,
    private readonly now: Now,
  ) {}

  /** A new upload of `bytes` bytes. */
  async create(wanted: { actor: string; bytes: number; sha256?: string; notes?: string }): Promise<CreateResult> {
    const { maxBytes } = this.limits;
    if (wanted.bytes > maxBytes) {
      const detail = `the package has ${wanted.bytes} bytes, at most ${maxBytes} are taken; make it smaller or raise upload.maxBytes`;
      return { ok: false, code: 'UPLOAD_TOO_LARGE', detail };
    }
    const { actor, bytes, sha256 = null, notes = '' } = wanted;
    return this.#begin({
      actor,
      bytes,
      sha256,
      notes,
      source: { kind: 'client', replica: this.replica },
      state: 'receiving',
    });
  }

  /** Lets the server itself fetch a package. */
  async fetch(wanted: { actor: string; notes?: string; source: MlflowSource }): Promise<CreateResult> {
    const { actor, notes = '', source } = wanted;
    const made = await this.#begin({ actor, bytes: null, sha256: null, notes, source, state: 'fetching' });
    if (made.ok) this.#work(made.upload);
    return made;
  }

  async find(id: string): Promise<{ upload: UploadRecord; received: number | null } | null> {
    const upload = await this.repository.find(id);
    if (upload === null) return null;
    const own = upload.home === this.files.home && upload.state === 'receiving';
    return { upload, received: own ? (await this.files.size(id)).bytes : receivedOf(upload) };
  }

  /** Where the next bytes belong. Whoever still writes is cut off: a client that asks has lost that connection. */
  async offset(id: string): Promise<OffsetResult> {
    const found = await this.#own(id);
    if (!found.ok) return found;
    const { upload } = found;
    if (upload.state !== 'receiving') return { ok: true, upload, offset: receivedOf(upload) ?? 0 };
    return this.#turn(id, async () => ({ ok: true, upload, offset: (await this.files.size(id)).bytes }));
  }

  /** Adds bytes at `offset`. When it was the last of them the verification begins. */
  async append(id: string, offset: number, length: number | null, body: Readable): Promise<AppendResult> {
    return this.#turn(id, async (signal) => {
      const found = await this.#own(id);
      if (!found.ok) return found;
      const { upload } = found;
      const { bytes: received } = await this.files.size(id);
      const verdict = checkPiece(upload, received, offset);
      if (!verdict.ok) return { ...verdict, offset: received };
      const tooMuch = `the upload was announced with ${upload.bytes} bytes, ${verdict.room} are missing; more came`;
      if (length !== null && length > verdict.room) {
        return { ok: false, code: 'UPLOAD_TOO_LARGE', detail: tooMuch, offset: received };
      }
      const { kind } = await this.files.append(id, addAbortSignal(signal, body), verdict.room);
      const { bytes: after } = await this.files.size(id);
      await byTheWay(() => this.repository.touch(id, this.now()));
      if (kind === 'too-much') return { ok: false, code: 'UPLOAD_TOO_LARGE', detail: tooMuch, offset: after };
      if (kind === 'full') {
        const detail = `the server's disk is full after ${after} of ${upload.bytes} bytes; make room, then go on from there`;
        return { ok: false, code: 'STORAGE_FULL', detail, offset: after };
      }
      if (after === upload.bytes) await this.#verifyLater(upload);
      else if (kind === 'cut') {
        const detail = `the connection ended after ${after} of ${upload.bytes} bytes; go on from there`;
        return { ok: false, code: 'UPLOAD_CUT', detail, offset: after };
      }
      return { ok: true, offset: after };
    });
  }

  /** Gives an upload up, unless it is being verified. At any replica: the one with the bytes drops them when it sees that. */
  async cancel(id: string): Promise<{ ok: true } | Refusal<'UPLOAD_UNKNOWN' | 'UPLOAD_CLOSED'>> {
    return this.#turn(id, async () => {
      const upload = await this.repository.find(id);
      if (upload === null) return unknown(id);
      if (upload.state !== 'receiving') {
        const detail = `the upload is ${upload.state}; only one that still receives can be given up`;
        return { ok: false, code: 'UPLOAD_CLOSED', detail };
      }
      await this.#end(id, {
        state: 'refused',
        failure: { code: 'UPLOAD_CANCELLED', detail: 'given up by the client' },
      });
      return { ok: true };
    });
  }

  /** After a start: goes on with what was being fetched or verified, and drops files that belong to nothing. */
  async resume(): Promise<void> {
    const open = await this.repository.open(this.files.home);
    for (const upload of open) {
      if (upload.state !== 'receiving') this.#work(upload);
      else if ((await this.files.size(upload.id)).bytes === upload.bytes) await this.#verifyLater(upload);
    }
    const known = new Set(open.map(({ id }) => id));
    for (const id of await this.files.ids()) if (!known.has(id)) await this.files.remove(id);
  }

  /** Drops what got no bytes for too long. Each replica sees to its own files. */
  async sweep(): Promise<void> {
    const now = this.now();
    const before = now.getTime() - this.limits.expiryMs;
    // Files first: whatever is begun from now on is not among them.
    const files = await this.files.ids();
    const open = await this.repository.open(this.files.home);
    const known = new Set(open.map(({ id }) => id));
    // Those that were given up at another replica.
    for (const id of files)
      if (!known.has(id) && !this.#writers.has(id) && !this.#working.has(id)) await this.files.remove(id);
    for (const upload of open) {
      const { id, state, touchedAt } = upload;
      // What failed for a reason of this server, such as a database that was away, is tried again.
      if (state !== 'receiving') this.#work(upload);
      if (state !== 'receiving' || this.#writers.has(id) || touchedAt.getTime() > before) continue;
      const { changedAt } = await this.files.size(id);
      if (changedAt !== null && changedAt.getTime() > before) continue;
      const detail = `no bytes came for ${this.limits.expiryMs / 3_600_000} h; upload the package again`;
      await this.#end(id, { state: 'refused', failure: { code: 'UPLOAD_EXPIRED', detail } });
    }
    await this.repository.dropEnded(new Date(now.getTime() - REMEMBERED_MS));
  }

  expiresAt(upload: UploadRow): Date {
    return new Date(upload.touchedAt.getTime() + this.limits.expiryMs);
  }

  /** Cuts writers off and waits for verifications under way; what has not ended goes on after the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#writers.values()) abort.abort();
    await Promise.allSettled([...this.#writers.values()].map(({ done }) => done));
    await Promise.allSettled(this.#working.values());
  }

  async #begin(
    upload: Pick<UploadRow, 'actor' | 'bytes' | 'sha256' | 'notes' | 'source' | 'state'>,
  ): Promise<CreateResult> {
    if ((await this.repository.openCount()) >= this.limits.maxOpen) {
      const detail = `${this.limits.maxOpen} uploads are open; end or cancel one (GET /api/v1/uploads), or raise upload.maxOpen`;
      return { ok: false, code: 'UPLOADS_FULL', detail };
    }
    const id = randomUUID();
    await this.repository.insert({ id, home: this.files.home, ...upload }, this.now());
    return { ok: true, upload: (await this.repository.find(id)) as UploadRecord };
  }

  async #own(id: string): Promise<{ ok: true; upload: UploadRecord } | LookupRefusal> {
    const upload = await this.repository.find(id);
    if (upload === null) return unknown(id);
    if (upload.home !== this.files.home) {
      const replica = upload.source.kind === 'client' ? (upload.source.replica ?? null) : null;
      const detail = `${replica ?? 'another replica'} holds the bytes of this upload, this is ${this.replica}; connect anew until a balancer leads there, or give it up (DELETE) and begin anew`;
      return { ok: false, code: 'UPLOAD_ELSEWHERE', detail, replica };
    }
    return { ok: true, upload };
  }

  /** One at a time for each upload: who comes cuts off who is there, whose connection is most likely dead. */
  async #turn<T>(id: string, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#writers.get(id)?.abort.abort();
    const serial = this.#turns.get(id) ?? new Serial();
    this.#turns.set(id, serial);
    return serial.run(async () => {
      const abort = new AbortController();
      if (this.#closed) abort.abort();
      const done = task(abort.signal);
      const writer = { abort, done };
      this.#writers.set(id, writer);
      try {
        return await done;
      } finally {
        if (this.#writers.get(id) === writer) this.#writers.delete(id);
      }
    });
  }

  async #verifyLater(upload: UploadRow): Promise<void> {
    if (await this.repository.move(upload.id, 'verifying', this.now())) this.#work({ ...upload, state: 'verifying' });
  }

  #work(upload: UploadRow): void {
    if (this.#working.has(upload.id) || this.#closed) return;
    // The request that sets it off is answered before.
    const work = byTheWay(() => this.#take(upload))
      .then((end) => this.#end(upload.id, end))
      .catch((error: Error) => {
        // The row stays open: the next start tries again.
        this.log.error({ upload: upload.id, err: error }, 'a package could not be taken in');
      })
      .finally(() => this.#working.delete(upload.id));
    this.#working.set(upload.id, work);
  }

  async #take(upload: UploadRow): Promise<UploadEnd> {
    const { id, actor, notes, source } = upload;
    const archive = this.files.path(id);
    let provenance: ReleaseProvenance | undefined;
    if (source.kind === 'mlflow') {
      await this.files.remove(id);
      const fetched = await this.fetchPackage(source, archive);
      if (!fetched.ok) return { state: 'refused', failure: fetched.failure };
      provenance = fetched.provenance;
      await this.repository.move(id, 'verifying', this.now());
    }
    const failure = await this.#corruption(upload);
    if (failure !== null) return { state: 'refused', failure };
    const result = await this.intake.take(archive, {
      actor,
      notes,
      ...(provenance === undefined ? {} : { provenance }),
    });
    if (result.ok) return { state: 'done', releaseId: result.release.id, created: result.created };
    const { code, packageCode, detail } = result;
    return { state: 'refused', failure: { code, detail, ...(packageCode === undefined ? {} : { packageCode }) } };
  }

  async #corruption({ id, sha256 }: UploadRow): Promise<UploadFailure | null> {
    if (sha256 === null) return null;
    const hash = createHash('sha256');
    await pipeline(createReadStream(this.files.path(id)), hash);
    const actual = hash.digest('hex');
    if (actual === sha256) return null;
    return {
      code: 'UPLOAD_CORRUPT',
      detail: `the bytes hash to ${actual}, announced was ${sha256}; upload them again`,
    };
  }

  async #end(id: string, end: UploadEnd): Promise<void> {
    await this.repository.end(id, end, this.now());
    await this.files.remove(id);
    this.#turns.delete(id);
  }
}

function unknown(id: string): Refusal<'UPLOAD_UNKNOWN'> {
  return { ok: false, code: 'UPLOAD_UNKNOWN', detail: `there is no upload ${id}` };
}

/** All bytes are there once an upload is verified; of one that ended otherwise nothing is known. */
function receivedOf({ state, bytes }: UploadRow): number | null {
  return state === 'verifying' || state === 'done' ? bytes : null;
}
