import { sql } from 'drizzle-orm';
import type { DeviceFacts } from '../../alerts/device-observations.js';
import type { Database } from './database.js';
import { type DeviceRange, deviceRanges, within } from './device-ranges.js';

interface FactsRow {
  id: string;
  tags: string[];
  hardware_class: string;
  running: string | null;
  online: boolean;
  presence_at: string | null;
  error: { code: string; message: string } | null;
  received_at: string | null;
  fps: number | null;
  disk_free: number | null;
  temperature: number | null;
  usual_fps: number | null;
  drifting: boolean | null;
  certificate_ends_at: string | null;
}

/** What rules of these kinds look at beside the board's own row; what no rule asks for is not read, and is null. */
export interface WantedFacts {
  telemetry: boolean;
  usualFps: boolean;
  drifting: boolean;
  certificates: boolean;
}

/** Boards in one statement: all others wait while it runs. */
const BOARDS_AT_ONCE = 100;
const NOTHING = { telemetry: false, usualFps: false, drifting: false, certificates: false };

/** What alert rules look at, some boards at a time. */
export class AlertFactsRepository {
  constructor(private readonly database: Database) {}

  /** Every board that may come in, in parts, in the order of ids. */
  async *devices(now: Date, wanted: WantedFacts = NOTHING): AsyncGenerator<DeviceFacts[]> {
    for await (const range of deviceRanges(this.database, BOARDS_AT_ONCE)) yield await this.#within(range, now, wanted);
  }

  async #within(range: DeviceRange, now: Date, wanted: WantedFacts): Promise<DeviceFacts[]> {
    const dayBefore = sql`${new Date(now.getTime() - 86_400_000).toISOString()}::timestamptz`;
    const these = within(sql`device_id`, range);
    const none = (columns: string) => sql`(select null::text as device_id, ${sql.raw(columns)} where false)`;
    const telemetry = wanted.telemetry
      ? sql`lateral (select received_at, (body ->> 'fps')::float8 as fps, (body ->> 'diskFreeBytes')::float8 as disk_free,
          (body ->> 'temperatureC')::float8 as temperature
        from telemetry where device_id = d.id order by id desc limit 1) t on true`
      : sql`${none('null::timestamptz as received_at, null::float8 as fps, null::float8 as disk_free, null::float8 as temperature')} t on true`;
    const hours = wanted.usualFps
      ? sql`(select device_id, sum(frames) / nullif(sum(seconds), 0) as usual_fps from telemetry_hours
        where ${these} and at >= ${dayBefore} group by device_id having sum(seconds) >= 3600)`
      : none('null::float8 as usual_fps');
    const findings = wanted.drifting
      ? sql`(select device_id, model, drifting from drift_findings where ${these})`
      : none('null::text as model, null::boolean as drifting');
    const certificates = wanted.certificates
      ? sql`(select device_id, max(expires_at) as certificate_ends_at from device_certificates
        where ${these} and revoked_at is null group by device_id)`
      : none('null::timestamptz as certificate_ends_at');
    const rows = await this.#rows<FactsRow>(sql`
      select d.id, d.tags, d.hardware_class, d.online, d.presence_at, d.running,
        case when d.error_code is null then null else d.reported -> 'error' end as error,
        t.received_at, t.fps, t.disk_free, t.temperature, h.usual_fps, f.drifting, c.certificate_ends_at
      from devices d
      left join ${telemetry}
      left join ${hours} h on h.device_id = d.id
      left join ${findings} f on f.device_id = d.id and f.model = d.running_digest
      left join ${certificates} c on c.device_id = d.id
      where ${within(sql`d.id`, range)} and d.revoked_at is null`);
    return rows.map((row) => ({
      ...{ id: row.id, tags: row.tags, hardwareClass: row.hardware_class, running: row.running, online: row.online },
      ...{ presenceAt: date(row.presence_at), error: row.error, certificateEndsAt: date(row.certificate_ends_at) },
      ...{ usualFps: row.usual_fps, drifting: row.drifting },
      telemetry:
        row.received_at === null
          ? null
          : {
              receivedAt: new Date(row.received_at),
              fps: row.fps ?? 0,
              diskFreeBytes: row.disk_free,
              temperatureC: row.temperature,
            },
    }));
  }

  async #rows<Row>(query: ReturnType<typeof sql>): Promise<Row[]> {
    return (await this.database.drizzle.execute(query)) as unknown as Row[];
  }
}

const date = (text: string | null) => (text === null ? null : new Date(text));
