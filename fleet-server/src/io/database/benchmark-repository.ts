import type { BenchmarkResult, Evidence, EvidenceSource } from '@vigie/protocol';
import { and, desc, eq, getTableColumns, lt, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { releases } from './schema/foundation.js';
import { benchmarkResults } from './schema/gates.js';

export type BenchmarkRecord = typeof benchmarkResults.$inferSelect;

export interface NewBenchmark {
  /** SHA-256 of the canonical document. */
  hash: string;
  releaseId: number;
  source: EvidenceSource;
  deviceId: string | null;
  actor: string;
  receivedAt: Date;
  body: BenchmarkResult;
}

export interface BenchmarkFilter {
  releaseId?: number;
  name?: string;
  arch?: string;
  hardwareClass?: string;
  benchmark?: string;
  source?: EvidenceSource;
}

/** Results of one release that a verdict may be made from; the newest ones count. */
export const MOST_EVIDENCE = 200;

export class BenchmarkRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Stores a result, tells of it, and marks its release for judgement, all in one statement. The same document again changes
   * nothing. `full`: the release has `most` already.
   */
  async add(
    { hash, releaseId, source, deviceId, actor, receivedAt, body }: NewBenchmark,
    most: number,
  ): Promise<{ kind: 'stored' | 'same'; id: number } | { kind: 'full' }> {
    const { platform, benchmark, at } = body;
    const received = receivedAt.toISOString();
    const rows = (await this.#database.drizzle.execute(sql`
      with stored as (
        insert into benchmark_results
          (hash, release_id, source, device_id, actor, at, received_at, benchmark, arch, hardware_class, emulated, body)
        select ${hash}::text, ${releaseId}::int, ${source}::text, ${deviceId}::text, ${actor}::text, ${at}::timestamptz,
          ${received}::timestamptz, ${benchmark}::text, ${platform.arch}::text, ${platform.hardwareClass ?? null}::text,
          ${platform.emulated}::boolean, ${JSON.stringify(body)}::jsonb
        where (select count(*) from benchmark_results where release_id = ${releaseId}::int) < ${most}::int
        on conflict on constraint benchmark_results_once do nothing
        returning id, release_id
      ),
      told as (
        insert into activity (at, kind, subject, actor, body)
        select ${received}::timestamptz, 'benchmark.posted', releases.name || '@' || releases.version, ${actor}::text,
          jsonb_build_object('id', stored.id, 'name', releases.name, 'version', releases.version, 'digest', releases.digest,
            'source', ${source}::text, 'deviceId', ${deviceId}::text, 'benchmark', ${benchmark}::text,
            'platform', ${JSON.stringify(platform)}::jsonb, 'metrics', ${JSON.stringify(body.metrics)}::jsonb)
        from stored join releases on releases.id = stored.release_id
      ),
      marked as (
        insert into gate_pending (release_id, changes) select release_id, 1 from stored
        on conflict (release_id) do update set changes = gate_pending.changes + 1
      )
      select id from stored`)) as unknown as { id: number | string }[];
    if (rows.length === 1) return { kind: 'stored', id: Number(rows[0].id) };
    const known = await this.#database.drizzle
      .select({ id: benchmarkResults.id })
      .from(benchmarkResults)
      .where(and(eq(benchmarkResults.hash, hash), eq(benchmarkResults.source, source)));
    return known.length === 1 ? { kind: 'same', id: known[0].id } : { kind: 'full' };
  }

  async find(id: number): Promise<(BenchmarkRecord & { name: string; version: string }) | null> {
    const rows = await this.#list(eq(benchmarkResults.id, id), 1);
    return rows[0] ?? null;
  }

  /** Newest first, below `before`. */
  async list(filter: BenchmarkFilter, before: number | null, limit: number) {
    const { releaseId, name, arch, hardwareClass, benchmark, source } = filter;
    const where = and(
      before === null ? undefined : lt(benchmarkResults.id, before),
      releaseId === undefined ? undefined : eq(benchmarkResults.releaseId, releaseId),
      name === undefined ? undefined : eq(releases.name, name),
      arch === undefined ? undefined : eq(benchmarkResults.arch, arch),
      hardwareClass === undefined ? undefined : eq(benchmarkResults.hardwareClass, hardwareClass),
      benchmark === undefined ? undefined : eq(benchmarkResults.benchmark, benchmark),
      source === undefined ? undefined : eq(benchmarkResults.source, source),
    );
    return this.#list(where, limit);
  }

  /** What a verdict on a release is made from: its newest results. */
  async evidence(releaseId: number): Promise<(Evidence & { row: number })[]> {
    const rows = await this.#database.drizzle
      .select({ id: benchmarkResults.id, source: benchmarkResults.source, result: benchmarkResults.body })
      .from(benchmarkResults)
      .where(eq(benchmarkResults.releaseId, releaseId))
      .orderBy(desc(benchmarkResults.id))
      .limit(MOST_EVIDENCE);
    return rows.map(({ id, source, result }) => ({ row: id, id: String(id), source, result }));
  }

  #list(where: SQL | undefined, limit: number) {
    return this.#database.drizzle
      .select({ ...getTableColumns(benchmarkResults), name: releases.name, version: releases.version })
      .from(benchmarkResults)
      .innerJoin(releases, eq(releases.id, benchmarkResults.releaseId))
      .where(where)
      .orderBy(desc(benchmarkResults.id))
      .limit(limit);
  }
}
