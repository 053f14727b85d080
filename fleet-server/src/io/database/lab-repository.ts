import type { ReleaseReference, Reply } from '@vigie/protocol';
import { and, desc, eq, inArray, isNull, lt, sql } from 'drizzle-orm';
import type { LabState } from '../../gates/lab.js';
import type { Database } from './database.js';
import { devices, releases } from './schema/foundation.js';
import { labBenchmarks } from './schema/gates.js';

export type LabRecord = typeof labBenchmarks.$inferSelect;
export type NewLabBenchmark = Omit<LabRecord, 'state' | 'code' | 'detail' | 'resultId'>;

/** A board that was asked, and its answer when it is there. */
export interface OpenLabBenchmark extends LabRecord {
  release: ReleaseReference;
  hardwareClass: string;
  reply: Reply | null;
}

/** Which lab boards were asked to measure what, and what came of it. */
export class LabRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Boards of the lab that may come in, by id. */
  async boards(): Promise<{ id: string; hardwareClass: string; online: boolean }[]> {
    return this.#database.drizzle
      .select({ id: devices.id, hardwareClass: devices.hardwareClass, online: devices.online })
      .from(devices)
      .where(and(eq(devices.role, 'lab'), eq(devices.pending, false), isNull(devices.revokedAt)))
      .orderBy(devices.id);
  }

  async add(rows: readonly NewLabBenchmark[]): Promise<void> {
    await this.#database.drizzle.insert(labBenchmarks).values(rows.map((row) => ({ ...row, state: 'asked' as const })));
  }

  /** Boards that owe an answer, with the reply that came since. */
  async open(limit: number): Promise<OpenLabBenchmark[]> {
    const { name, version, digest } = releases;
    const rows = await this.#database.drizzle
      .select({
        row: labBenchmarks,
        release: { name, version, digest },
        hardwareClass: devices.hardwareClass,
        reply: sql<Reply | null>`(select body from replies where replies.device_id = ${labBenchmarks.deviceId}
          and replies.body ->> 'commandId' = ${labBenchmarks.id} order by replies.id limit 1)`,
      })
      .from(labBenchmarks)
      .innerJoin(releases, eq(releases.id, labBenchmarks.releaseId))
      .innerJoin(devices, eq(devices.id, labBenchmarks.deviceId))
      .where(eq(labBenchmarks.state, 'asked'))
      .orderBy(labBenchmarks.requestedAt)
      .limit(limit);
    return rows.map(({ row, ...more }) => ({ ...row, ...more }));
  }

  /** Ends a request; what has ended stays as it ended. A failure is told in the activity log. */
  async settle(
    id: string,
    end: { state: Exclude<LabState, 'asked'>; code: string | null; detail: string | null; resultId: number | null },
    at: Date,
  ): Promise<void> {
    const { state, code, detail, resultId } = end;
    await this.#database.drizzle.execute(sql`
      with ended as (
        update lab_benchmarks set state = ${state}, code = ${code}, detail = ${detail}, result_id = ${resultId}::bigint
        where id = ${id} and state = 'asked' returning id, release_id, device_id
      )
      insert into activity (at, kind, subject, actor, body)
      select ${at.toISOString()}::timestamptz, 'benchmark.failed', releases.name || '@' || releases.version, ended.device_id,
        jsonb_build_object('id', ended.id, 'name', releases.name, 'version', releases.version, 'digest', releases.digest,
          'deviceId', ended.device_id, 'state', ${state}::text, 'code', ${code}::text, 'detail', ${detail}::text)
      from ended join releases on releases.id = ended.release_id where ${state}::text <> 'answered'`);
  }

  /** Ids of releases that a board is fetching for a benchmark: their bytes belong on the wire. */
  async measured(): Promise<Set<number>> {
    const rows = await this.#database.drizzle
      .selectDistinct({ id: labBenchmarks.releaseId })
      .from(labBenchmarks)
      .where(eq(labBenchmarks.state, 'asked'));
    return new Set(rows.map(({ id }) => id));
  }

  /** Newest first. */
  async list(filter: { releaseId?: number; state?: LabState; before?: Date }, limit: number): Promise<LabRecord[]> {
    return this.#database.drizzle
      .select()
      .from(labBenchmarks)
      .where(
        and(
          filter.releaseId === undefined ? undefined : eq(labBenchmarks.releaseId, filter.releaseId),
          filter.state === undefined ? undefined : inArray(labBenchmarks.state, [filter.state]),
          filter.before === undefined ? undefined : lt(labBenchmarks.requestedAt, filter.before),
        ),
      )
      .orderBy(desc(labBenchmarks.requestedAt), desc(labBenchmarks.id))
      .limit(limit);
  }
}
