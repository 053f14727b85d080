import type { ReleaseDescriptor } from '@vigie/protocol';
import { and, count, desc, eq, isNotNull, or, sql } from 'drizzle-orm';
import type { CertifiedRelease } from '../../registry/certification.js';
import type { ReleaseState } from '../../registry/release-state.js';
import type { Database } from './database.js';
import { devices, releases } from './schema/foundation.js';

export type ReleaseRecord = typeof releases.$inferSelect;

export interface NewRelease {
  descriptor: ReleaseDescriptor;
  descriptorSha256: string;
  descriptorBytes: number;
  bytes: number;
  state: ReleaseState;
  certifiedBy: string | null;
  createdAt: Date;
}

export class ReleaseRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(): Promise<ReleaseRecord[]> {
    return this.#database.drizzle.select().from(releases).orderBy(desc(releases.id));
  }

  async find(name: string, version: string): Promise<ReleaseRecord | null> {
    const rows = await this.#database.drizzle
      .select()
      .from(releases)
      .where(and(eq(releases.name, name), eq(releases.version, version)));
    return rows[0] ?? null;
  }

  async insert(release: NewRelease): Promise<ReleaseRecord> {
    const { name, version, digest, precision } = release.descriptor;
    const rows = await this.#database.drizzle
      .insert(releases)
      .values({ ...release, name, version, digest, precision })
      .returning();
    return rows[0];
  }

  async setState(id: number, state: ReleaseState, withdrawnAt: Date | null): Promise<void> {
    await this.#database.drizzle.update(releases).set({ state, withdrawnAt }).where(eq(releases.id, id));
  }

  async released(): Promise<ReleaseRecord[]> {
    return this.#database.drizzle.select().from(releases).where(eq(releases.state, 'released')).orderBy(releases.id);
  }

  /** Bytes of a file or descriptor of a released release, by its hash; null: none has it. */
  async releasedObject(sha256: string): Promise<number | null> {
    const holds = JSON.stringify({ files: [{ sha256 }] });
    const [row] = await this.#database.drizzle
      .select()
      .from(releases)
      .where(
        and(
          eq(releases.state, 'released'),
          or(eq(releases.descriptorSha256, sha256), sql`${releases.descriptor} @> ${holds}::jsonb`),
        ),
      )
      .limit(1);
    if (row === undefined) return null;
    if (row.descriptorSha256 === sha256) return row.descriptorBytes;
    return row.descriptor.files.find((file) => file.sha256 === sha256)?.size ?? null;
  }

  /** What certificates are made of, of every released package. */
  async certified(): Promise<CertifiedRelease[]> {
    return this.#database.drizzle
      .select({
        digest: releases.digest,
        requires: sql<CertifiedRelease['requires']>`${releases.descriptor} -> 'requires'`,
        createdAt: releases.createdAt,
      })
      .from(releases)
      .where(eq(releases.state, 'released'))
      .orderBy(releases.id);
  }

  async releasedCount(): Promise<number> {
    const rows = await this.#database.drizzle
      .select({ count: count() })
      .from(releases)
      .where(eq(releases.state, 'released'));
    return rows[0].count;
  }

  /** Released releases that at least one device shall run: their bytes belong on the wire. */
  async assigned(): Promise<ReleaseRecord[]> {
    const wanted = await this.#database.drizzle
      .selectDistinct({ id: devices.desiredReleaseId })
      .from(devices)
      .where(isNotNull(devices.desiredReleaseId));
    const ids = new Set(wanted.map((row) => row.id));
    return (await this.released()).filter((release) => ids.has(release.id));
  }
}
