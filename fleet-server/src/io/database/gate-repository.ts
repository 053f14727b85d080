import type { GatePolicy, GateVerdict, Verdict } from '@vigie/protocol';
import { and, asc, desc, eq, isNotNull, lt, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { releases } from './schema/foundation.js';
import { gatePending, gatePolicies, gateVerdicts, type VerdictInputs } from './schema/gates.js';

export type PolicyRecord = typeof gatePolicies.$inferSelect;
export type PresentPolicy = PolicyRecord & { document: GatePolicy };
export type VerdictRecord = typeof gateVerdicts.$inferSelect;

export interface NewVerdict {
  releaseId: number;
  policy: string;
  policyVersion: number;
  /** Over ids of results and the champion: the same inputs give one row. */
  inputsHash: string;
  at: Date;
  actor: string;
  verdict: Verdict;
  inputs: VerdictInputs;
  body: GateVerdict;
}

export interface VerdictFilter {
  releaseId?: number;
  policy?: string;
  verdict?: Verdict;
}

/** Gate policies with their history, and verdicts. */
export class GateRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest version of each policy that was not removed, by name. */
  async policies(): Promise<PresentPolicy[]> {
    const rows = await this.#database.drizzle
      .selectDistinctOn([gatePolicies.name])
      .from(gatePolicies)
      .orderBy(gatePolicies.name, desc(gatePolicies.version));
    return rows.filter((row): row is PresentPolicy => row.document !== null);
  }

  /** Every version of one policy, newest first. */
  async history(name: string): Promise<PolicyRecord[]> {
    return this.#database.drizzle
      .select()
      .from(gatePolicies)
      .where(eq(gatePolicies.name, name))
      .orderBy(desc(gatePolicies.version));
  }

  /**
   * Adds a version above `after` (0: none), and marks every release for judgement. `document` null removes the
   * policy. False: somebody else was faster.
   */
  async addPolicy(
    name: string,
    after: number,
    document: GatePolicy | null,
    { actor, note, at }: { actor: string; note: string; at: Date },
  ): Promise<boolean> {
    const rows = (await this.#database.drizzle.execute(sql`
      with added as (
        insert into gate_policies (name, version, document, created_at, created_by, note)
        values (${name}, ${after + 1}::int, ${document === null ? null : JSON.stringify(document)}::jsonb,
          ${at.toISOString()}::timestamptz, ${actor}, ${note})
        on conflict on constraint gate_policies_pk do nothing returning name, version
      ),
      told as (
        insert into activity (at, kind, subject, actor, body)
        select ${at.toISOString()}::timestamptz, 'gate.changed', name, ${actor}::text,
          jsonb_build_object('policy', name, 'version', version, 'removed', ${document === null}::boolean, 'note', ${note}::text)
        from added
      ),
      marked as (
        insert into gate_pending (release_id, changes)
        select releases.id, 1 from added, releases where releases.state <> 'withdrawn'
        on conflict (release_id) do update set changes = gate_pending.changes + 1
      )
      select version from added`)) as unknown as unknown[];
    return rows.length === 1;
  }

  /** Releases to be judged, and the change that they were last marked by. */
  async pending(limit: number, releaseId?: number): Promise<{ releaseId: number; changes: number }[]> {
    return this.#database.drizzle
      .select()
      .from(gatePending)
      .where(releaseId === undefined ? undefined : eq(gatePending.releaseId, releaseId))
      .orderBy(asc(gatePending.releaseId))
      .limit(limit);
  }

  /** A release was judged as it was at `changes`; a later change keeps the mark. */
  async settle(releaseId: number, changes: number): Promise<void> {
    await this.#database.drizzle
      .delete(gatePending)
      .where(and(eq(gatePending.releaseId, releaseId), eq(gatePending.changes, changes)));
  }

  /** Releases of a model, but for `except`, are held against other figures from now on. */
  async mark(name: string, except = 0): Promise<void> {
    await this.#database.drizzle.execute(sql`
      insert into gate_pending (release_id, changes)
      select id, 1 from releases where name = ${name} and state <> 'withdrawn' and id <> ${except}::int
      on conflict (release_id) do update set changes = gate_pending.changes + 1`);
  }

  /** Stores a verdict and tells of it, unless the same inputs were judged before; gives the id of the row either way. */
  async addVerdict(verdict: NewVerdict): Promise<{ id: number; added: boolean }> {
    const { releaseId, policy, policyVersion, inputsHash, at, actor, inputs, body } = verdict;
    const rows = (await this.#database.drizzle.execute(sql`
      with added as (
        insert into gate_verdicts (release_id, policy, policy_version, inputs_hash, at, actor, verdict, inputs, body)
        values (${releaseId}::int, ${policy}, ${policyVersion}::int, ${inputsHash}, ${at.toISOString()}::timestamptz, ${actor},
          ${verdict.verdict}, ${JSON.stringify(inputs)}::jsonb, ${JSON.stringify(body)}::jsonb)
        on conflict on constraint gate_verdicts_once do nothing returning id, release_id
      ),
      told as (
        insert into activity (at, kind, subject, actor, body)
        select ${at.toISOString()}::timestamptz, 'gate.judged', releases.name || '@' || releases.version, ${actor}::text,
          jsonb_build_object('id', added.id, 'name', releases.name, 'version', releases.version, 'digest', releases.digest,
            'policy', ${policy}::text, 'policyVersion', ${policyVersion}::int, 'verdict', ${verdict.verdict}::text,
            'why', ${JSON.stringify(reasons(body))}::jsonb)
        from added join releases on releases.id = added.release_id
      )
      select id from added`)) as unknown as { id: number | string }[];
    if (rows.length === 1) return { id: Number(rows[0].id), added: true };
    const known = await this.#database.drizzle
      .select({ id: gateVerdicts.id })
      .from(gateVerdicts)
      .where(
        and(
          eq(gateVerdicts.releaseId, releaseId),
          eq(gateVerdicts.policy, policy),
          eq(gateVerdicts.policyVersion, policyVersion),
          eq(gateVerdicts.inputsHash, inputsHash),
        ),
      );
    return { id: known[0].id, added: false };
  }

  async findVerdict(id: number) {
    const rows = await this.#list(eq(gateVerdicts.id, id), 1);
    return rows[0] ?? null;
  }

  /** Newest first, below `before`. */
  async verdicts({ releaseId, policy, verdict }: VerdictFilter, before: number | null, limit: number) {
    const where = and(
      before === null ? undefined : lt(gateVerdicts.id, before),
      releaseId === undefined ? undefined : eq(gateVerdicts.releaseId, releaseId),
      policy === undefined ? undefined : eq(gateVerdicts.policy, policy),
      verdict === undefined ? undefined : eq(gateVerdicts.verdict, verdict),
    );
    return this.#list(where, limit);
  }

  /** Releases that were measured, newest first: what a policy can be tried on. */
  async measuredReleases(names: readonly string[] | undefined, limit: number) {
    return this.#database.drizzle
      .select({ id: releases.id, name: releases.name, version: releases.version, digest: releases.digest })
      .from(releases)
      .where(
        and(
          sql`exists (select 1 from benchmark_results where benchmark_results.release_id = releases.id)`,
          names === undefined
            ? isNotNull(releases.name)
            : sql`${releases.name} = any(${sql.param([...names])}::text[])`,
        ),
      )
      .orderBy(desc(releases.id))
      .limit(limit);
  }

  #list(where: SQL | undefined, limit: number) {
    const { id, releaseId, policy, policyVersion, inputsHash, at, actor, verdict, inputs, body } = gateVerdicts;
    return this.#database.drizzle
      .select({
        ...{ id, releaseId, policy, policyVersion, inputsHash, at, actor, verdict, inputs, body },
        ...{ name: releases.name, version: releases.version },
      })
      .from(gateVerdicts)
      .innerJoin(releases, eq(releases.id, gateVerdicts.releaseId))
      .where(where)
      .orderBy(desc(gateVerdicts.id))
      .limit(limit);
  }
}

/** One line per rule that did not pass, for whoever reads the activity log. */
function reasons({ classes }: GateVerdict): string[] {
  const lines = classes.flatMap(({ rules }) =>
    rules.filter(({ verdict }) => verdict !== 'pass').map(({ rule, verdict, why }) => `${rule}: ${verdict}: ${why}`),
  );
  return [...new Set(lines)].slice(0, 16);
}
