import type { Certificate } from '@vigie/protocol';
import { and, asc, desc, eq, isNull, lt, sql } from 'drizzle-orm';
import type { Grant } from '../../gates/grants.js';
import { type OverrideState, overridePolicy } from '../../gates/override.js';
import type { Database } from './database.js';
import { releases } from './schema/foundation.js';
import { gateGrants, gateOverrides } from './schema/gates.js';

export type GrantRecord = typeof gateGrants.$inferSelect;
export type OverrideRecord = typeof gateOverrides.$inferSelect;

/** Who does something, and when. */
interface By {
  actor: string;
  at: Date;
}

/** What releases are certified for, and the overrides of people. */
export class GrantRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Certifies a release for classes that gates passed, unless it is certified for them already or somebody revoked that.
   * Returns the classes that are new.
   */
  async grant(releaseId: number, grants: readonly Grant[], { actor, at }: By): Promise<string[]> {
    if (grants.length === 0) return [];
    const rows = (await this.#database.drizzle.execute(sql`
      with given as (
        select * from jsonb_to_recordset(${JSON.stringify(grants)}::jsonb)
          as given("hardwareClass" text, policy text, measured jsonb, verdicts jsonb)
      ),
      added as (
        insert into gate_grants (release_id, hardware_class, policy, measured, granted_at, verdicts)
        select releases.id, given."hardwareClass", given.policy, given.measured, ${at.toISOString()}::timestamptz, given.verdicts
        from given, releases where releases.id = ${releaseId}::int and releases.state <> 'withdrawn'
        on conflict on constraint gate_grants_pk do nothing returning release_id, hardware_class, policy
      ),
      told as (${this.#certified(actor, at)})
      select hardware_class from added order by hardware_class`)) as unknown as { hardware_class: string }[];
    return rows.map((row) => row.hardware_class);
  }

  /** Takes a class back. False: it is not certified. */
  async revoke(releaseId: number, hardwareClass: string, reason: string, { actor, at }: By): Promise<boolean> {
    const rows = (await this.#database.drizzle.execute(sql`
      with gone as (
        update gate_grants set revoked_at = ${at.toISOString()}::timestamptz, revoked_by = ${actor}, revoke_reason = ${reason}
        where release_id = ${releaseId}::int and hardware_class = ${hardwareClass} and revoked_at is null
        returning release_id, hardware_class
      )
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, 'release.certificate-revoked', releases.name || '@' || releases.version, ${actor}::text,
        jsonb_build_object('name', releases.name, 'version', releases.version, 'digest', releases.digest,
          'hardwareClass', gone.hardware_class, 'reason', ${reason}::text)
      from gone join releases on releases.id = gone.release_id returning id`)) as unknown as unknown[];
    return rows.length === 1;
  }

  /** Every grant of a release, revoked ones included, by class. */
  async ofRelease(releaseId: number): Promise<GrantRecord[]> {
    return this.#database.drizzle
      .select()
      .from(gateGrants)
      .where(eq(gateGrants.releaseId, releaseId))
      .orderBy(asc(gateGrants.hardwareClass));
  }

  /** What the TUF role `certified` says for gates: standing grants of released packages, by digest. */
  async certificates(): Promise<Certificate[]> {
    const rows = await this.#database.drizzle
      .select({ digest: releases.digest, grant: gateGrants })
      .from(gateGrants)
      .innerJoin(releases, eq(releases.id, gateGrants.releaseId))
      .where(and(eq(releases.state, 'released'), isNull(gateGrants.revokedAt)))
      .orderBy(asc(releases.id), asc(gateGrants.hardwareClass));
    const certificates = new Map<string, Certificate>();
    for (const { digest, grant } of rows) {
      const { hardwareClass, policy, measured, grantedAt } = grant;
      const certificate = certificates.get(digest) ?? { digest, grants: [] };
      certificate.grants.push({ hardwareClass, policy, measured, grantedAt: grantedAt.toISOString() });
      certificates.set(digest, certificate);
    }
    return [...certificates.values()];
  }

  async requestOverride(
    request: { releaseId: number; hardwareClasses: readonly string[]; reason: string; verdicts: readonly number[] },
    { actor, at }: By,
  ): Promise<OverrideRecord> {
    const { releaseId, hardwareClasses, reason, verdicts } = request;
    const rows = (await this.#database.drizzle.execute(sql`
      with asked as (
        insert into gate_overrides (release_id, hardware_classes, reason, verdicts, state, requested_by, requested_at)
        values (${releaseId}::int, ${JSON.stringify(hardwareClasses)}::jsonb, ${reason}, ${JSON.stringify(verdicts)}::jsonb,
          'waiting', ${actor}, ${at.toISOString()}::timestamptz)
        returning id, release_id
      ),
      told as (
        insert into activity (at, kind, subject, actor, body)
        select ${at.toISOString()}::timestamptz, 'gate.override-requested', releases.name || '@' || releases.version,
          ${actor}::text, jsonb_build_object('id', asked.id, 'name', releases.name, 'version', releases.version,
            'digest', releases.digest, 'hardwareClasses', ${JSON.stringify(hardwareClasses)}::jsonb, 'reason', ${reason}::text)
        from asked join releases on releases.id = asked.release_id
      )
      select id from asked`)) as unknown as { id: number | string }[];
    return (await this.findOverride(Number(rows[0].id))) as OverrideRecord;
  }

  /**
   * Decides a waiting override in one statement: the guard on the person stands in it, so that nobody approves what he asked
   * for himself, whichever replica he asks. An approval certifies the classes, revoked ones too. Null: nothing was decided.
   */
  async decideOverride(
    id: number,
    to: Exclude<OverrideState, 'waiting'>,
    decision: string,
    secondPerson: boolean,
    { actor, at }: By,
  ): Promise<OverrideRecord | null> {
    const policy = overridePolicy(id);
    const rows = (await this.#database.drizzle.execute(sql`
      with decided as (
        update gate_overrides set state = ${to}, decided_by = ${actor}, decided_at = ${at.toISOString()}::timestamptz,
          decision = ${decision}
        from releases
        where gate_overrides.id = ${id} and gate_overrides.state = 'waiting' and releases.id = gate_overrides.release_id
          and (${to}::text = 'rejected' or (releases.state <> 'withdrawn'
            and (not ${secondPerson}::boolean or gate_overrides.requested_by <> ${actor}::text)))
        returning gate_overrides.id, gate_overrides.release_id, gate_overrides.hardware_classes, gate_overrides.verdicts,
          gate_overrides.reason, gate_overrides.requested_by
      ),
      added as (
        insert into gate_grants (release_id, hardware_class, policy, measured, granted_at, verdicts, override_id)
        select release_id, class.name, ${policy}::text, '{}'::jsonb, ${at.toISOString()}::timestamptz, verdicts, id
        from decided, jsonb_array_elements_text(hardware_classes) as class(name) where ${to}::text = 'approved'
        on conflict on constraint gate_grants_pk do update set policy = excluded.policy, measured = excluded.measured,
          granted_at = excluded.granted_at, verdicts = excluded.verdicts, override_id = excluded.override_id,
          revoked_at = null, revoked_by = null, revoke_reason = null
        where gate_grants.revoked_at is not null
        returning release_id, hardware_class, policy
      ),
      told as (${this.#certified(actor, at)}),
      marked as (
        insert into gate_pending (release_id, changes) select release_id, 1 from decided
        on conflict (release_id) do update set changes = gate_pending.changes + 1
      )
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, 'gate.overridden', releases.name || '@' || releases.version, ${actor}::text,
        jsonb_build_object('id', decided.id, 'name', releases.name, 'version', releases.version, 'digest', releases.digest,
          'state', ${to}::text, 'hardwareClasses', decided.hardware_classes, 'reason', decided.reason,
          'requestedBy', decided.requested_by, 'decision', ${decision}::text)
      from decided join releases on releases.id = decided.release_id returning id`)) as unknown as unknown[];
    return rows.length === 1 ? this.findOverride(id) : null;
  }

  async findOverride(id: number): Promise<OverrideRecord | null> {
    const rows = await this.#database.drizzle.select().from(gateOverrides).where(eq(gateOverrides.id, id));
    return rows[0] ?? null;
  }

  /** Newest first, below `before`. */
  async overrides(
    { releaseId, state }: { releaseId?: number; state?: OverrideState },
    before: number | null,
    limit: number,
  ): Promise<OverrideRecord[]> {
    return this.#database.drizzle
      .select()
      .from(gateOverrides)
      .where(
        and(
          before === null ? undefined : lt(gateOverrides.id, before),
          releaseId === undefined ? undefined : eq(gateOverrides.releaseId, releaseId),
          state === undefined ? undefined : eq(gateOverrides.state, state),
        ),
      )
      .orderBy(desc(gateOverrides.id))
      .limit(limit);
  }

  /** Entry of the activity log for the rows of the CTE `added`. */
  #certified(actor: string, at: Date) {
    return sql`
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, 'release.certified', releases.name || '@' || releases.version, ${actor}::text,
        jsonb_build_object('name', releases.name, 'version', releases.version, 'digest', releases.digest,
          'hardwareClass', added.hardware_class, 'policy', added.policy)
      from added join releases on releases.id = added.release_id`;
  }
}
