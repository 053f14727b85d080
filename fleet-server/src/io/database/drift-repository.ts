import { type SQL, sql } from 'drizzle-orm';
import type { DriftVerdict } from '../../devices/drift.js';
import type { Database } from './database.js';
import { deviceRanges, within } from './device-ranges.js';
import { rawQuery } from './raw-query.js';

export interface DriftPair {
  model: string;
  /** Empty: all boards together. */
  device: string;
  baseline: { scores: number[]; areas: number[] };
  now: { scores: number[]; areas: number[] };
}

export interface FindingRow {
  model: string;
  device: string;
  release: string | null;
  at: string;
  scorePsi: number;
  areaPsi: number;
  detections: number;
  drifting: boolean;
  since: string;
}

const HOUR_MS = 3_600_000;
/** Boards whose hours are looked at in one statement: each may have hundreds. */
const BOARDS_AT_ONCE = 100;

const bins = (column: string, name = column): SQL =>
  sql.raw(
    `array[${Array.from({ length: 10 }, (_, bin) => `coalesce(sum(${column}[${bin + 1}]), 0)::bigint`).join(', ')}] as ${name}`,
  );
const detections = sql.raw(
  Array.from({ length: 10 }, (_, bin) => `coalesce(sum(hours.scores[${bin + 1}]), 0)`).join(' + '),
);
const time = (at: Date) => sql`${at.toISOString()}::timestamptz`;

/** Baselines of what models see, what they see now, and how far apart the two are. Reads the hours of telemetry. */
export class DriftRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Keeps what models saw in their first hours: on each board that runs one, and (as the device '') on all of them since the
   * first. Once, when those hours are over and held enough.
   */
  async keepBaselines(now: Date, hours: number, minDetections: number): Promise<void> {
    const span = sql`${hours} * interval '1 hour'`;
    const earliest = sql`${time(now)} - ${3 * hours + 48} * interval '1 hour'`;
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE)) {
      await this.#rows(sql`
        with lacking as materialized (
          select devices.id, devices.running_digest as model from devices
          where ${within(sql`devices.id`, range)} and devices.running_digest is not null and not exists (
            select 1 from drift_baselines kept where kept.model = devices.running_digest and kept.device_id = devices.id)
        )
        insert into drift_baselines (model, device_id, from_at, until_at, scores, areas)
        select first.model, first.id, first.at, first.at + ${span}, ${bins('hours.scores', 'scores')}, ${bins('hours.areas', 'areas')}
        from (select lacking.id, lacking.model, min(hours.at) as at from lacking
            join telemetry_hours hours on hours.device_id = lacking.id and hours.model = lacking.model
            where hours.at >= ${earliest} group by 1, 2) first
        join telemetry_hours hours on hours.device_id = first.id and hours.model = first.model
        where hours.at < first.at + ${span} and first.at + ${span} <= ${time(now)}
        group by first.model, first.id, first.at having ${detections} >= ${minDetections}
        on conflict do nothing`);
    }
    await this.#keepFleetBaselines(now, hours, minDetections);
  }

  async #keepFleetBaselines(now: Date, hours: number, minDetections: number): Promise<void> {
    const lacking = await this.#rows<{ model: string }>(sql`
      select distinct running_digest as model from devices where running_digest is not null and not exists (
        select 1 from drift_baselines kept where kept.model = devices.running_digest and kept.device_id = '')`);
    const earliest = new Date(now.getTime() - (3 * hours + 48) * HOUR_MS);
    for (const { model } of lacking) {
      let first = Number.POSITIVE_INFINITY;
      for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE)) {
        const [{ ms }] = await this.#rows<{ ms: number | null }>(sql`
          select extract(epoch from min(at))::float8 * 1000 as ms from telemetry_hours
          where ${within(sql`device_id`, range)} and model = ${model} and at >= ${time(earliest)}`);
        first = Math.min(first, ms ?? Number.POSITIVE_INFINITY);
      }
      const until = first + hours * HOUR_MS;
      if (until > now.getTime()) continue;
      const seen = await this.#fleet(model, new Date(first), new Date(until));
      if (seen.scores.reduce((sum, bin) => sum + bin, 0) < minDetections) continue;
      await this.#rows(sql`
        insert into drift_baselines (model, device_id, from_at, until_at, scores, areas)
        values (${model}, '', ${time(new Date(first))}, ${time(new Date(until))}, ${literal(seen.scores)}, ${literal(seen.areas)})
        on conflict do nothing`);
    }
  }

  /** What a model saw on all boards in these hours. */
  async #fleet(model: string, from: Date, until: Date): Promise<{ scores: number[]; areas: number[] }> {
    let sums = { scores: Array<number>(10).fill(0), areas: Array<number>(10).fill(0) };
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE)) {
      const [row] = await this.#rows<{ scores: unknown; areas: unknown }>(sql`
        select ${bins('scores')}, ${bins('areas')} from telemetry_hours
        where ${within(sql`device_id`, range)} and model = ${model} and at >= ${time(from)} and at < ${time(until)}`);
      const [scores, areas] = [numbers(row.scores), numbers(row.areas)];
      sums = {
        scores: sums.scores.map((sum, bin) => sum + scores[bin]),
        areas: sums.areas.map((sum, bin) => sum + areas[bin]),
      };
    }
    return sums;
  }

  /** What models saw since `since` and after their baseline: on each board (against its own baseline, else that of all). In parts. */
  async *pairs(since: Date): AsyncGenerator<DriftPair[]> {
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE)) {
      const rows = await this.#rows<Record<string, unknown>>(sql`
        select recent.model, recent.device_id, recent.scores, recent.areas,
          coalesce(own.scores, fleet.scores) as base_scores, coalesce(own.areas, fleet.areas) as base_areas
        from (
          select hours.model, hours.device_id, ${bins('hours.scores', 'scores')}, ${bins('hours.areas', 'areas')}
          from telemetry_hours hours
          join devices on devices.id = hours.device_id and devices.running_digest = hours.model and devices.decommissioned_at is null
          left join drift_baselines own on own.model = hours.model and own.device_id = hours.device_id
          where ${within(sql`hours.device_id`, range)} and hours.at >= ${time(since)}
            and (own.until_at is null or hours.at >= own.until_at)
          group by 1, 2
        ) recent
        left join drift_baselines own on own.model = recent.model and own.device_id = recent.device_id
        left join drift_baselines fleet on fleet.model = recent.model and fleet.device_id = ''
        where coalesce(own.scores, fleet.scores) is not null`);
      yield rows.map((row) => ({
        model: row.model as string,
        device: row.device_id as string,
        baseline: { scores: numbers(row.base_scores), areas: numbers(row.base_areas) },
        now: { scores: numbers(row.scores), areas: numbers(row.areas) },
      }));
    }
  }

  /** The same of all boards together, for each model that has a baseline and was seen since. */
  async fleetPairs(since: Date, now: Date): Promise<DriftPair[]> {
    const kept = await this.#rows<{ model: string; until: number; scores: unknown; areas: unknown }>(sql`
      select model, extract(epoch from until_at)::float8 * 1000 as until, scores, areas from drift_baselines
      where device_id = '' and model in (select distinct running_digest from devices where decommissioned_at is null)`);
    const pairs: DriftPair[] = [];
    for (const { model, until, scores, areas } of kept) {
      const from = new Date(Math.max(since.getTime(), until));
      const recent = await this.#fleet(model, from, new Date(now.getTime() + HOUR_MS));
      if (recent.scores.some((bin) => bin > 0) || recent.areas.some((bin) => bin > 0))
        pairs.push({ model, device: '', baseline: { scores: numbers(scores), areas: numbers(areas) }, now: recent });
    }
    return pairs;
  }

  /** Keeps verdicts; tells of boards and releases that drift or drift no longer, and asks for a retraining of the latter. */
  async keep(verdicts: readonly ({ model: string; device: string } & DriftVerdict)[], at: Date): Promise<void> {
    if (verdicts.length === 0) return;
    const given = JSON.stringify(
      verdicts.map(({ scorePsi, areaPsi, ...rest }) => ({ ...rest, score_psi: scorePsi, area_psi: areaPsi })),
    );
    const found = sql`from drift_findings found left join lateral (
        select name || '@' || version as release from releases where digest = found.model order by id limit 1
      ) named on true
      where found.xmin = pg_current_xact_id()::xid and found.since = ${time(at)}`;
    const body = sql`jsonb_build_object('release', release, 'model', model, 'device', nullif(device_id, ''),
      'scorePsi', score_psi, 'areaPsi', area_psi, 'detections', detections)`;
    await this.#database.transaction([
      rawQuery(
        this.#database,
        sql`insert into drift_findings as kept (model, device_id, at, score_psi, area_psi, detections, drifting, since)
          select model, device, ${time(at)}, score_psi, area_psi, detections, drifting,
            case when drifting then ${time(at)} else to_timestamp(0) end
          from jsonb_to_recordset(${given}::jsonb)
            as given(model text, device text, score_psi real, area_psi real, detections bigint, drifting boolean)
          order by model, device
          on conflict (model, device_id) do update set at = excluded.at, score_psi = excluded.score_psi,
            area_psi = excluded.area_psi, detections = excluded.detections, drifting = excluded.drifting,
            since = case when kept.drifting = excluded.drifting then kept.since else excluded.at end`,
      ),
      rawQuery(
        this.#database,
        sql`insert into activity (at, kind, subject, actor, body)
          select ${time(at)}, case when drifting then 'drift.found' else 'drift.cleared' end,
            case when device_id = '' then coalesce(release, model) else device_id end, 'system', ${body} ${found}
          union all
          select ${time(at)}, 'retrain.wanted', coalesce(release, model), 'system',
            ${body} || '{"reason": "drift"}'::jsonb ${found} and drifting and device_id = ''`,
      ),
    ]);
  }

  /** Newest verdicts, what drifts first. `device`: of one board; absent: of all. */
  findings(device: string | undefined, limit: number): Promise<FindingRow[]> {
    const iso = (column: string) => sql.raw(`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);
    return this.#rows(sql`
      select found.model, found.device_id as device, named.release, ${iso('found.at')} as at, score_psi as "scorePsi",
        area_psi as "areaPsi", detections, drifting, ${iso('found.since')} as since
      from drift_findings found left join lateral (
        select name || '@' || version as release from releases where digest = found.model order by id limit 1
      ) named on true
      where ${device === undefined ? sql`true` : sql`device_id = ${device}`}
      order by drifting desc, greatest(score_psi, area_psi) desc, found.model, device_id limit ${limit}`);
  }

  /** Moves a time that is due forward. True for the one caller that moved it. */
  async takeTurn(name: string, expression: string, now: Date, next: Date): Promise<boolean> {
    const rows = await this.#rows(sql`
      with before as (select expression, due_at from schedules where name = ${name})
      insert into schedules as kept (name, expression, due_at) values (${name}, ${expression}, ${time(next)})
      on conflict (name) do update set expression = excluded.expression, due_at = excluded.due_at
        where kept.due_at <= ${time(now)} or kept.expression <> excluded.expression
      returning (select due_at <= ${time(now)} and expression = ${expression} from before) as due`);
    return (rows[0] as { due?: boolean } | undefined)?.due === true;
  }

  async #rows<Row>(query: SQL): Promise<Row[]> {
    return (await this.#database.drizzle.execute(query)) as unknown as Row[];
  }
}

const literal = (values: readonly number[]) =>
  sql`(select array_agg(value::bigint order by place)
    from jsonb_array_elements_text(${JSON.stringify(values)}::jsonb) with ordinality as given(value, place))`;
const numbers = (values: unknown): number[] => (values as unknown[]).map(Number);
