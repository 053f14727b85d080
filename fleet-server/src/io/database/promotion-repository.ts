import { and, desc, eq, lt, sql } from 'drizzle-orm';
import type { PromotionAlias, PromotionCandidate } from '../../registry/promotion.js';
import type { Database } from './database.js';
import type { ReleaseRecord } from './release-repository.js';
import { devices, releases } from './schema/foundation.js';
import { promotions } from './schema/registry.js';

export type PromotionRecord = typeof promotions.$inferSelect;

export interface NewPromotion {
  release: { id: number; name: string; version: string; digest: string };
  alias: PromotionAlias;
  actor: string;
  reason: string;
  compared: readonly PromotionCandidate[];
  missingLabels: readonly string[];
}

/** Decisions about champions and candidates: written once, never changed. */
export class PromotionRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Writes a decision and the activity entry that tells of it. Null: the release was withdrawn meanwhile (or, for a champion, is
   * not released), and nothing was written.
   */
  async add(promotion: NewPromotion, at: Date): Promise<PromotionRecord | null> {
    const { release, alias, actor, reason } = promotion;
    const compared = JSON.stringify(promotion.compared);
    const missing = JSON.stringify(promotion.missingLabels);
    const allowed = alias === 'champion' ? sql`state = 'released'` : sql`state <> 'withdrawn'`;
    const time = sql`${at.toISOString()}::timestamptz`;
    const rows = (await this.#database.drizzle.execute(sql`
      with chosen as (select id, name, version, digest from releases where id = ${release.id} and ${allowed} for share),
      made as (
        insert into promotions (at, name, version, release_id, alias, actor, reason, compared, missing_labels)
        select ${time}, name, version, id, ${alias}::text, ${actor}::text, ${reason}::text, ${compared}::jsonb, ${missing}::jsonb
        from chosen returning id),
      told as (
        insert into activity (at, kind, subject, actor, body)
        select ${time}, 'release.promoted', name || '@' || version, ${actor}::text,
          jsonb_build_object('name', name, 'version', version, 'digest', digest, 'alias', ${alias}::text,
            'reason', ${reason}::text, 'promotion', made.id, 'missingLabels', ${missing}::jsonb,
            'compared', ${JSON.stringify(promotion.compared.map(({ name, version }) => `${name}@${version}`))}::jsonb)
        from chosen, made returning id)
      select made.id from made, told`)) as unknown as { id: number | string }[];
    if (rows.length === 0) return null;
    const found = await this.#database.drizzle
      .select()
      .from(promotions)
      .where(eq(promotions.id, Number(rows[0].id)));
    return found[0] ?? null;
  }

  /** Newest first. */
  async list(
    filter: { name?: string; alias?: PromotionAlias; releaseId?: number },
    beforeId: number | null,
    limit: number,
  ): Promise<PromotionRecord[]> {
    const { name, alias, releaseId } = filter;
    return this.#database.drizzle
      .select()
      .from(promotions)
      .where(
        and(
          name === undefined ? undefined : eq(promotions.name, name),
          alias === undefined ? undefined : eq(promotions.alias, alias),
          releaseId === undefined ? undefined : eq(promotions.releaseId, releaseId),
          beforeId === null ? undefined : lt(promotions.id, beforeId),
        ),
      )
      .orderBy(desc(promotions.id))
      .limit(limit);
  }

  /** What an alias means now: the newest decision whose release still stands. */
  async holder(name: string, alias: PromotionAlias): Promise<ReleaseRecord | null> {
    const rows = await this.#database.drizzle
      .select({ release: releases })
      .from(promotions)
      .innerJoin(releases, eq(releases.id, promotions.releaseId))
      .where(
        and(
          eq(promotions.name, name),
          eq(promotions.alias, alias),
          alias === 'champion' ? eq(releases.state, 'released') : sql`${releases.state} <> 'withdrawn'`,
        ),
      )
      .orderBy(desc(promotions.id))
      .limit(1);
    return rows[0]?.release ?? null;
  }

  /** Every alias that means something now. */
  async holders(): Promise<{ name: string; alias: PromotionAlias; version: string; promotion: number; at: Date }[]> {
    return this.#database.drizzle
      .selectDistinctOn([promotions.name, promotions.alias], {
        name: promotions.name,
        alias: promotions.alias,
        version: promotions.version,
        promotion: promotions.id,
        at: promotions.at,
      })
      .from(promotions)
      .innerJoin(releases, eq(releases.id, promotions.releaseId))
      .where(
        sql`${releases.state} = 'released' or (${promotions.alias} = 'candidate' and ${releases.state} <> 'withdrawn')`,
      )
      .orderBy(promotions.name, promotions.alias, desc(promotions.id));
  }

  /** Boards that shall run a release of this model. */
  async boardsOf(name: string): Promise<string[]> {
    const rows = await this.#database.drizzle
      .select({ id: devices.id })
      .from(devices)
      .innerJoin(releases, eq(releases.id, devices.desiredReleaseId))
      .where(eq(releases.name, name));
    return rows.map((row) => row.id);
  }
}
