import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { deviceRanges, within } from './device-ranges.js';
import { REPLACE_KEPT, ROLLED_UP, ROLLUP_COLUMNS } from './ingest-statements.js';
import { type RollupRow, together } from './rollup-rows.js';

export type Resolution = 'minute' | 'hour';

/** Spans of all boards that ran one model. */
export type ModelRow = RollupRow & { release: string | null; boards: number };

const TABLES: Record<Resolution, SQL> = { minute: sql.raw('telemetry_minutes'), hour: sql.raw('telemetry_hours') };
const HOUR_MS = 3_600_000;
/** Boards whose hours are made, or minutes summed, in one statement: an hour has 60 of them. */
const AT_ONCE = 100;
/** Rows that one statement of the retention removes. */
const PRUNE_ROWS = 1000;
const time = (at: Date) => sql`${at.toISOString()}::timestamptz`;

/** Telemetry by minutes and hours; minutes are made where messages are committed, hours here. */
export class TelemetryRepository {
  readonly #database: Database;
  /** For what reads the spans of every board: what is asked of one board goes before it. */
  readonly #whole: Database;

  constructor(database: Database) {
    this.#database = database;
    this.#whole = database.ranked('fleet');
  }

  /** Newest telemetry messages of a board, the newest first. */
  async raw(deviceId: string, from: Date, to: Date, limit: number): Promise<unknown[]> {
    const rows = await this.#rows<{ body: unknown }>(sql`
      select body from telemetry where device_id = ${deviceId} and received_at >= ${time(from)} and received_at < ${time(to)}
      order by id desc limit ${limit}`);
    return rows.map(({ body }) => body);
  }

  /** A board's spans from (inclusive) to (exclusive), oldest first. */
  series(deviceId: string, resolution: Resolution, from: Date, to: Date, limit: number): Promise<RollupRow[]> {
    return this.#rows(sql`
      select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, model, ${ROLLUP_COLUMNS}
      from ${TABLES[resolution]}
      where device_id = ${deviceId} and at >= ${time(from)} and at < ${time(to)} order by telemetry_${sql.raw(resolution)}s.at, model limit ${limit}`);
  }

  /** All boards together, by the model that ran; `release`: `name@version`, null for a model that is in no registry. */
  async byModel(resolution: Resolution, from: Date, to: Date): Promise<ModelRow[]> {
    const found = new Map<string, ModelRow>();
    for await (const range of deviceRanges(this.#whole, AT_ONCE)) {
      const rows = await this.#rows<ModelRow>(
        sql`
          select model, count(distinct device_id)::int as boards, ${ROLLED_UP} from ${TABLES[resolution]}
          where ${within(sql`device_id`, range)} and at >= ${time(from)} and at < ${time(to)} group by model`,
        this.#whole,
      );
      for (const row of rows) {
        const one = found.get(row.model);
        found.set(row.model, one === undefined ? row : { ...together(one, row), boards: one.boards + row.boards });
      }
    }
    const named = await this.#rows<{ digest: string; release: string }>(sql`
      select distinct on (digest) digest, name || '@' || version as release from releases order by digest, id`);
    const releases = new Map(named.map(({ digest, release }) => [digest, release]));
    return [...found.values()]
      .map((row) => ({ ...row, release: releases.get(row.model) ?? null }))
      .sort((a, b) => b.boards - a.boards || (a.model < b.model ? -1 : 1));
  }

  /** Makes hours of minutes up to the newest whole hour before `now`. Safe to do twice. */
  async rollHours(now: Date): Promise<void> {
    // Messages of the hour's last second may still be on their way.
    const target = Math.floor((now.getTime() - 60_000) / HOUR_MS) * HOUR_MS;
    const [progress] = await this.#rows<{ until: string | null }>(sql`
      select coalesce((select until from rollup_progress where name = 'hours'), (select min(at) from telemetry_minutes)) as until`);
    if (progress.until === null) return;
    for (let hour = Math.floor(Date.parse(progress.until) / HOUR_MS) * HOUR_MS; hour < target; hour += HOUR_MS) {
      await this.#rollHour(new Date(hour));
      const until = time(new Date(hour + HOUR_MS));
      await this.#rows(sql`insert into rollup_progress (name, until) values ('hours', ${until})
        on conflict (name) do update set until = greatest(rollup_progress.until, excluded.until)`);
    }
  }

  /** Drops spans that began before, a few at a time. */
  async dropBefore(resolution: Resolution, before: Date): Promise<void> {
    const table = TABLES[resolution];
    for (;;) {
      const gone = await this.#rows(sql`
        delete from ${table} where ctid in (select ctid from ${table} where at < ${time(before)} limit ${PRUNE_ROWS}) returning 1`);
      if (gone.length < PRUNE_ROWS) return;
    }
  }

  async #rollHour(hour: Date): Promise<void> {
    const end = new Date(hour.getTime() + HOUR_MS);
    for await (const range of deviceRanges(this.#whole, AT_ONCE)) {
      await this.#rows(
        sql`
          insert into telemetry_hours as kept (device_id, at, model, ${ROLLUP_COLUMNS})
          select device_id, ${time(hour)}, model, ${ROLLED_UP} from telemetry_minutes
          where ${within(sql`device_id`, range)} and at >= ${time(hour)} and at < ${time(end)}
          group by device_id, model order by device_id, model
          on conflict (device_id, at, model) do update set ${REPLACE_KEPT}`,
        this.#whole,
      );
    }
  }

  async #rows<Row>(query: SQL, database = this.#database): Promise<Row[]> {
    return (await database.drizzle.execute(query)) as unknown as Row[];
  }
}
