import { type SQL, sql } from 'drizzle-orm';
import type { DriftVerdict } from '../../devices/drift.js';
import type { Database } from './database.js';
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
   * Keeps what each model saw in its first hours: on each board, and (as the device '') on all of them since the first. Once, when
   * those hours are over and held enough.
   */
  async keepBaselines(now: Date, hours: number, minDetections: number): Promise<void> {
    for (const device of [sql`hours.device_id`, sql`''::text`]) {
      await this.#rows(sql`
        insert into drift_baselines (model, device_id, from_at, until_at, scores, areas)
        select hours.model, first.device_id, first.at, first.at + ${hours} * interval '1 hour', ${bins('hours.scores', 'scores')},
          ${bins('hours.areas', 'areas')}
        from telemetry_hours hours
        join (select model, ${device} as device_id, min(at) as at from telemetry_hours hours
            where model <> '' and at >= ${time(now)} - ${3 * hours + 48} * interval '1 hour' group by 1, 2) first
          on first.model = hours.model and first.device_id = ${device}
        where hours.at < first.at + ${hours} * interval '1 hour'
          and first.at + ${hours} * interval '1 hour' <= ${time(now)}
          and not exists (select 1 from drift_baselines kept where kept.model = hours.model and kept.device_id = first.device_id)
        group by hours.model, first.device_id, first.at having ${detections} >= ${minDetections}
        on conflict do nothing`);
    }
  }

  /** What models saw since `since` and after their baseline: on each board (against its own baseline, else that of all), and on all. */
  async pairs(since: Date): Promise<DriftPair[]> {
    const rows = await this.#rows<Record<string, unknown>>(sql`
      select recent.model, recent.device_id, recent.scores, recent.areas,
        coalesce(own.scores, fleet.scores) as base_scores, coalesce(own.areas, fleet.areas) as base_areas
      from (
        select hours.model, hours.device_id, ${bins('hours.scores', 'scores')}, ${bins('hours.areas', 'areas')}
        from telemetry_hours hours
        join devices on devices.id = hours.device_id and devices.running_digest = hours.model and devices.decommissioned_at is null
        left join drift_baselines own on own.model = hours.model and own.device_id = hours.device_id
        where hours.at >= ${time(since)} and (own.until_at is null or hours.at >= own.until_at) group by 1, 2
        union all
        select hours.model, '', ${bins('hours.scores', 'scores')}, ${bins('hours.areas', 'areas')}
        from telemetry_hours hours join drift_baselines fleet on fleet.model = hours.model and fleet.device_id = ''
        where hours.at >= ${time(since)} and hours.at >= fleet.until_at group by 1
      ) recent
      left join drift_baselines own on own.model = recent.model and own.device_id = recent.device_id
      left join drift_baselines fleet on fleet.model = recent.model and fleet.device_id = ''
      where coalesce(own.scores, fleet.scores) is not null`);
    return rows.map((row) => ({
      model: row.model as string,
      device: row.device_id as string,
      baseline: { scores: numbers(row.base_scores), areas: numbers(row.base_areas) },
      now: { scores: numbers(row.scores), areas: numbers(row.areas) },
    }));
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

const numbers = (values: unknown): number[] => (values as unknown[]).map(Number);
