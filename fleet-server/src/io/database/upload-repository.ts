import { and, asc, count, desc, eq, inArray, lt, ne, or } from 'drizzle-orm';
import type { UploadFailure, UploadState } from '../../registry/upload.js';
import type { Database } from './database.js';
import { releases } from './schema/foundation.js';
import { uploads } from './schema/registry.js';

export type UploadRow = typeof uploads.$inferSelect;
/** With the release that came of it. */
export interface UploadRecord extends UploadRow {
  release: { name: string; version: string; state: string } | null;
}
export type NewUpload = Pick<UploadRow, 'id' | 'home' | 'actor' | 'source' | 'bytes' | 'sha256' | 'notes' | 'state'>;
export type UploadEnd =
  | { state: 'done'; releaseId: number; created: boolean }
  | { state: 'refused'; failure: UploadFailure };

const OPEN: UploadState[] = ['fetching', 'receiving', 'verifying'];

/** Packages on their way in. */
export class UploadRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(upload: NewUpload, at: Date): Promise<void> {
    await this.#database.drizzle.insert(uploads).values({ ...upload, createdAt: at, touchedAt: at });
  }

  async find(id: string): Promise<UploadRecord | null> {
    return (await this.#select().where(eq(uploads.id, id)).limit(1)).map(flat)[0] ?? null;
  }

  /** Newest first; `before`: the one after which to go on. */
  async list(before: { createdAt: Date; id: string } | null, limit: number): Promise<UploadRecord[]> {
    const older =
      before === null
        ? undefined
        : or(
            lt(uploads.createdAt, before.createdAt),
            and(eq(uploads.createdAt, before.createdAt), lt(uploads.id, before.id)),
          );
    const rows = await this.#select().where(older).orderBy(desc(uploads.createdAt), desc(uploads.id)).limit(limit);
    return rows.map(flat);
  }

  /** Those that have not ended and whose bytes lie in this data folder, oldest first. */
  async open(home: string): Promise<UploadRow[]> {
    return this.#database.drizzle
      .select()
      .from(uploads)
      .where(and(eq(uploads.home, home), inArray(uploads.state, OPEN)))
      .orderBy(asc(uploads.createdAt));
  }

  async openCount(): Promise<number> {
    const rows = await this.#database.drizzle
      .select({ count: count() })
      .from(uploads)
      .where(inArray(uploads.state, OPEN));
    return rows[0].count;
  }

  async touch(id: string, at: Date): Promise<void> {
    await this.#database.drizzle.update(uploads).set({ touchedAt: at }).where(eq(uploads.id, id));
  }

  /** Returns whether it stood open, and not in that state already. */
  async move(id: string, state: 'receiving' | 'verifying' | 'fetching', at: Date): Promise<boolean> {
    const moved = await this.#database.drizzle
      .update(uploads)
      .set({ state, touchedAt: at })
      .where(and(eq(uploads.id, id), inArray(uploads.state, OPEN), ne(uploads.state, state)))
      .returning({ id: uploads.id });
    return moved.length === 1;
  }

  /** Returns whether it stood open: an end is for ever. */
  async end(id: string, end: UploadEnd, at: Date): Promise<boolean> {
    const ended = await this.#database.drizzle
      .update(uploads)
      .set({ ...end, touchedAt: at })
      .where(and(eq(uploads.id, id), inArray(uploads.state, OPEN)))
      .returning({ id: uploads.id });
    return ended.length === 1;
  }

  /** Forgets what ended before. */
  async dropEnded(before: Date): Promise<void> {
    await this.#database.drizzle
      .delete(uploads)
      .where(and(lt(uploads.touchedAt, before), inArray(uploads.state, ['done', 'refused'])));
  }

  #select() {
    return this.#database.drizzle
      .select({ upload: uploads, release: { name: releases.name, version: releases.version, state: releases.state } })
      .from(uploads)
      .leftJoin(releases, eq(releases.id, uploads.releaseId))
      .$dynamic();
  }
}

function flat({ upload, release }: { upload: UploadRow; release: UploadRecord['release'] }): UploadRecord {
  return { ...upload, release };
}
