import type { ReleaseDescriptor } from '@vigie/protocol';
import { and, count, desc, eq, isNotNull, ne, or, type SQL, sql } from 'drizzle-orm';
import { databaseErrorIn } from '../../database-error.js';
import type { CertifiedRelease } from '../../registry/certification.js';
import type { ManifestSummary, ReleaseProvenance } from '../../registry/release-facts.js';
import {
  type Advance,
  DEFAULT_POLICY,
  RELEASE_STATES,
  type ReleaseState,
  statesBefore,
} from '../../registry/release-state.js';
import type { ActivityKind } from '../../services/activity-kinds.js';
import type { ActivityRepository } from './activity-repository.js';
import type { Database } from './database.js';
import { devices, releases } from './schema/foundation.js';

/** SQLSTATE. */
const UNIQUE_VIOLATION = '23505';

export type ReleaseRecord = typeof releases.$inferSelect;

export interface NewRelease {
  descriptor: ReleaseDescriptor;
  descriptorSha256: string;
  descriptorBytes: number;
  bytes: number;
  state: ReleaseState;
  certifiedBy: string | null;
  createdAt: Date;
  uploadedBy: string;
  notes: string;
  manifest: ManifestSummary;
  provenance: ReleaseProvenance | null;
}

/** Who changes a release, and why. */
export interface ChangeAuthor {
  /** Operator, token, gate or `system`. */
  actor: string;
  reason: string;
}

export class ReleaseRepository {
  readonly #database: Database;

  readonly #activity: ActivityRepository;

  constructor(database: Database, activity: ActivityRepository) {
    this.#database = database;
    this.#activity = activity;
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

  async findById(id: number): Promise<ReleaseRecord | null> {
    const rows = await this.#database.drizzle.select().from(releases).where(eq(releases.id, id));
    return rows[0] ?? null;
  }

  /** Null: the name and version were taken meanwhile (by another replica). */
  async insert(release: NewRelease): Promise<ReleaseRecord | null> {
    const { name, version, digest, precision } = release.descriptor;
    const { state, bytes, provenance, certifiedBy } = release;
    const row = this.#database.drizzle.insert(releases).values({ ...release, name, version, digest, precision });
    const entry = this.#activity.insertion([
      {
        ...{ at: release.createdAt, kind: 'release.uploaded' as const },
        ...{ subject: `${name}@${version}`, actor: release.uploadedBy },
        body: { name, version, digest, precision, bytes, state, certifiedBy, provenance },
      },
    ]);
    try {
      await this.#database.transaction([row, entry]);
    } catch (error) {
      if (databaseErrorIn(error)?.sqlState === UNIQUE_VIOLATION) return null;
      throw error;
    }
    return this.find(name, version);
  }

  /** Takes a release forward, unless it is as far already; tells of it in the same statement. Returns whether it moved. */
  async advance(id: number, to: Advance, by: ChangeAuthor & { certifiedBy?: string }, at: Date): Promise<boolean> {
    const certifiedBy = to === 'released' ? sql`${by.certifiedBy ?? by.actor}` : sql`releases.certified_by`;
    return this.#change(id, statesBefore(to), sql`state = ${to}, certified_by = ${certifiedBy}`, {
      ...{ kind: 'release.changed' as const, to, by, at },
    });
  }

  /** Returns whether it was not withdrawn before. */
  async withdraw(id: number, by: ChangeAuthor, at: Date): Promise<boolean> {
    const living = RELEASE_STATES.filter((state) => state !== 'withdrawn');
    return this.#change(id, living, sql`state = 'withdrawn', withdrawn_at = ${at.toISOString()}::timestamptz`, {
      ...{ kind: 'release.withdrawn' as const, to: 'withdrawn', by, at },
    });
  }

  async setNotes(id: number, notes: string, actor: string, at: Date): Promise<void> {
    await this.#database.drizzle.execute(sql`
      with changed as (update releases set notes = ${notes} where id = ${id} returning name, version, digest)
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, 'release.changed', name || '@' || version, ${actor}::text,
        jsonb_build_object('name', name, 'version', version, 'digest', digest, 'notes', ${notes}::text)
      from changed`);
  }

  /** A release that was uploaded by hand and then found on an MLflow server belongs to that version, too. */
  async setProvenance(id: number, provenance: ReleaseProvenance): Promise<void> {
    await this.#database.drizzle.update(releases).set({ provenance }).where(eq(releases.id, id));
  }

  async #change(
    id: number,
    from: readonly ReleaseState[],
    set: SQL,
    { kind, to, by, at }: { kind: ActivityKind; to: ReleaseState; by: ChangeAuthor; at: Date },
  ): Promise<boolean> {
    const rows = await this.#database.drizzle.execute(sql`
      with before as (select id, state from releases where id = ${id} for update),
      moved as (
        update releases set ${set} from before
        where releases.id = before.id and before.state in (${sql.join(
          from.map((state) => sql`${state}`),
          sql`, `,
        )})
        returning releases.name, releases.version, releases.digest, before.state as came_from)
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, ${kind}::text, name || '@' || version, ${by.actor}::text,
        jsonb_build_object('name', name, 'version', version, 'digest', digest, 'from', came_from, 'to', ${to}::text,
          'reason', ${by.reason}::text)
      from moved returning id`);
    return (rows as unknown[]).length === 1;
  }

  async released(): Promise<ReleaseRecord[]> {
    return this.#database.drizzle.select().from(releases).where(eq(releases.state, 'released')).orderBy(releases.id);
  }

  /**
   * Everything that was not withdrawn: the publisher's word, which stands in the TUF targets before any gate has judged, so that
   * lab boards can fetch it. What boards may install is said by certificates.
   */
  async listed(): Promise<ReleaseRecord[]> {
    return this.#database.drizzle.select().from(releases).where(ne(releases.state, 'withdrawn')).orderBy(releases.id);
  }

  /** Bytes of a file or descriptor of a release that was not withdrawn, by its hash; null: none has it. */
  async listedObject(sha256: string): Promise<number | null> {
    const holds = JSON.stringify({ files: [{ sha256 }] });
    const [row] = await this.#database.drizzle
      .select()
      .from(releases)
      .where(
        and(
          ne(releases.state, 'withdrawn'),
          or(eq(releases.descriptorSha256, sha256), sql`${releases.descriptor} @> ${holds}::jsonb`),
        ),
      )
      .limit(1);
    if (row === undefined) return null;
    if (row.descriptorSha256 === sha256) return row.descriptorBytes;
    return row.descriptor.files.find((file) => file.sha256 === sha256)?.size ?? null;
  }

  /** What certificates are made of, of every package that the default policy let through: gates issue their own. */
  async certifiedByDefault(): Promise<CertifiedRelease[]> {
    return this.#database.drizzle
      .select({
        digest: releases.digest,
        requires: sql<CertifiedRelease['requires']>`${releases.descriptor} -> 'requires'`,
        createdAt: releases.createdAt,
      })
      .from(releases)
      .where(and(eq(releases.state, 'released'), eq(releases.certifiedBy, DEFAULT_POLICY.name)))
      .orderBy(releases.id);
  }

  async releasedCount(): Promise<number> {
    const rows = await this.#database.drizzle
      .select({ count: count() })
      .from(releases)
      .where(eq(releases.state, 'released'));
    return rows[0].count;
  }

  /** Releases that at least one device shall run, and `others`: their bytes belong on the wire. */
  async assigned(others: ReadonlySet<number> = new Set()): Promise<ReleaseRecord[]> {
    const wanted = await this.#database.drizzle
      .selectDistinct({ id: devices.desiredReleaseId })
      .from(devices)
      .where(isNotNull(devices.desiredReleaseId));
    const ids = new Set(wanted.map((row) => row.id));
    return (await this.listed()).filter((release) => ids.has(release.id) || others.has(release.id));
  }
}
