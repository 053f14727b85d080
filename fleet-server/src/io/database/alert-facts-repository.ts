import { sql } from 'drizzle-orm';
import type { DeviceFacts } from '../../alerts/device-observations.js';
import type { Database } from './database.js';

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

/** What alert rules look at, of the whole fleet in one query. */
export class AlertFactsRepository {
  constructor(private readonly database: Database) {}

  /** Every board that may come in. */
  async devices(now: Date): Promise<DeviceFacts[]> {
    const dayBefore = sql`${new Date(now.getTime() - 86_400_000).toISOString()}::timestamptz`;
    const rows = (await this.database.drizzle.execute(sql`
      select d.id, d.tags, d.hardware_class, d.online, d.presence_at,
        (d.reported #>> '{active,release,name}') || '@' || (d.reported #>> '{active,release,version}') as running,
        case when jsonb_typeof(d.reported -> 'error') = 'object' then d.reported -> 'error' end as error,
        t.received_at, t.fps, t.disk_free, t.temperature, h.usual_fps, f.drifting, c.certificate_ends_at
      from devices d
      left join lateral (select received_at, (body ->> 'fps')::float8 as fps, (body ->> 'diskFreeBytes')::float8 as disk_free,
          (body ->> 'temperatureC')::float8 as temperature
        from telemetry where device_id = d.id order by id desc limit 1) t on true
      left join lateral (select sum(frames) / nullif(sum(seconds), 0) as usual_fps from telemetry_hours
        where device_id = d.id and at >= ${dayBefore} having sum(seconds) >= 3600) h on true
      left join lateral (select drifting from drift_findings
        where device_id = d.id and model = d.reported #>> '{active,release,digest}') f on true
      left join lateral (select max(expires_at) as certificate_ends_at from device_certificates
        where device_id = d.id and revoked_at is null) c on true
      where d.revoked_at is null`)) as unknown as FactsRow[];
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
}

const date = (text: string | null) => (text === null ? null : new Date(text));
