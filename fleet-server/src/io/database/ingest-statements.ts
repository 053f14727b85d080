import { type SQL, sql } from 'drizzle-orm';
import type { DeviceChange, DeviceReport, IngestBatch, ReceivedRow, SnapshotRow } from './ingest-rows.js';

/**
 * The statements of one commit of what boards sent. Each takes all its rows as one JSON document: binding, parsing and planning
 * hundreds of parameters costs more than the rows do. Rows go in the order of their keys, so that two replicas that write the
 * same ones wait for each other and never in a circle.
 */

const json = (rows: unknown) => sql`${JSON.stringify(rows)}::jsonb`;
const RECEIVED = sql.raw(
  'device_id text, boot_id text, sequence bigint, at timestamptz, received_at timestamptz, body jsonb',
);
const COLUMNS = sql.raw('device_id, boot_id, sequence, at, received_at, body');
const KEY = sql.raw('device_id, boot_id, sequence');

const received = ({ deviceId, bootId, sequence, at, receivedAt, body }: ReceivedRow) => ({
  ...{ device_id: deviceId, boot_id: bootId, sequence, at, received_at: receivedAt, body },
});

/** Reports and events. What is there already stays as it is. */
export function insertReceived(table: 'reports' | 'events', rows: readonly ReceivedRow[]): SQL {
  return sql`
    insert into ${sql.identifier(table)} (${COLUMNS})
    select ${COLUMNS} from jsonb_to_recordset(${json(rows.map(received))}) as given(${RECEIVED})
    order by ${KEY} on conflict do nothing`;
}

/** Replies, and the commands that they answer. */
export function insertReplies(rows: readonly ReceivedRow[]): SQL {
  return sql`
    with given as materialized (
      select * from jsonb_to_recordset(${json(rows.map(received))}) as given(${RECEIVED})
    ),
    fresh as (
      insert into replies (${COLUMNS}) select ${COLUMNS} from given order by ${KEY} on conflict do nothing
      returning device_id, received_at, body
    )
    update commands set answered_at = fresh.received_at, ok = (fresh.body ->> 'ok')::boolean,
      code = fresh.body ->> 'code', result = fresh.body -> 'result'
    from fresh
    where commands.id = fresh.body ->> 'commandId' and commands.device_id = fresh.device_id and answered_at is null`;
}

const BINS = Array.from({ length: 10 }, (_, index) => index + 1);
const summedBins = (column: string) =>
  sql.raw(`array[${BINS.map((bin) => `sum(${column}[${bin}])::bigint`).join(', ')}]`);
const addedBins = (column: string) =>
  sql.raw(`array[${BINS.map((bin) => `kept.${column}[${bin}] + excluded.${column}[${bin}]`).join(', ')}]`);

/** Columns of a rollup after its key, and how two spans of time become one. */
const ROLLUP = {
  ...Object.fromEntries(
    ['messages', 'seconds', 'frames', 'latency_frames', 'p50_sum', 'p95_sum', 'p99_sum', 'inference_p95_sum', 'drops']
      .concat(['cpu_sum', 'temperature_sum', 'temperature_count', 'throttled'])
      .map((column) => [column, 'sum'] as const),
  ),
  ...Object.fromEntries(
    ['p95_max', 'cpu_max', 'memory_max', 'temperature_max', 'restarts_max'].map(
      (column) => [column, 'greatest'] as const,
    ),
  ),
  ...Object.fromEntries(['fps_min', 'disk_free_min'].map((column) => [column, 'least'] as const)),
  scores: 'bins',
  areas: 'bins',
} as const satisfies Record<string, 'sum' | 'greatest' | 'least' | 'bins'>;

export const ROLLUP_COLUMNS = sql.raw(Object.keys(ROLLUP).join(', '));

/** `set` of an upsert that adds to what is there; the table goes by the name `kept`. */
const ADD_TO_KEPT = sql.join(
  Object.entries(ROLLUP).map(([column, how]) => {
    if (how === 'bins') return sql`${sql.raw(column)} = ${addedBins(column)}`;
    return sql.raw(
      how === 'sum'
        ? `${column} = kept.${column} + excluded.${column}`
        : `${column} = ${how}(kept.${column}, excluded.${column})`,
    );
  }),
  sql`, `,
);

/** `set` of an upsert that replaces what is there. */
export const REPLACE_KEPT = sql.raw(
  Object.keys(ROLLUP)
    .map((column) => `${column} = excluded.${column}`)
    .join(', '),
);

/** Select list that makes one span of many, in the order of ROLLUP_COLUMNS and under their names. */
export const ROLLED_UP = sql.join(
  Object.entries(ROLLUP).map(([column, how]) => {
    if (how === 'bins') return sql`${summedBins(column)} as ${sql.raw(column)}`;
    return sql.raw(`${{ sum: 'sum', greatest: 'max', least: 'min' }[how]}(${column}) as ${column}`);
  }),
  sql`, `,
);

/** What several messages of one board add to a minute, and what a single one does: in the order of the columns below. */
const ADDED = {
  many: sql`count(*), sum(seconds), sum(frames), sum(latency_frames), sum(p50_sum), sum(p95_sum), sum(p99_sum),
      sum(inference_p95_sum), sum(drops), sum(cpu), coalesce(sum(temperature), 0), count(temperature), sum(throttled),
      max(p95_max), max(cpu), max(memory), max(temperature), max(restarts), min(fps), min(disk_free),
      ${summedBins('scores')}, ${summedBins('areas')}`,
  single: sql`1, seconds, frames, latency_frames, p50_sum, p95_sum, p99_sum, inference_p95_sum, drops, cpu,
      coalesce(temperature, 0), (temperature is not null)::int, throttled, p95_max, cpu, memory, temperature, restarts, fps,
      disk_free, scores, areas`,
};

/**
 * Telemetry, and what it adds to the minute in which it came. Only rows that were not there yet count. Boards that send every few
 * seconds are in a commit once: then nothing is summed before it is added, which saves a fifth.
 */
export function insertTelemetry(rows: IngestBatch['telemetry']): SQL {
  const spans = new Set(rows.map(({ deviceId, minute, part }) => `${deviceId} ${minute.getTime()} ${part.model}`));
  const single = spans.size === rows.length;
  const given = rows.map((row) => ({ ...received(row), minute: row.minute, ...row.part }));
  return sql`
    with given as materialized (
      select * from jsonb_to_recordset(${json(given)}) as given(${RECEIVED}, minute timestamptz, model text, seconds real,
        frames real, fps real, latency_frames real, p50_sum real, p95_sum real, p99_sum real, inference_p95_sum real,
        p95_max real, drops bigint, cpu real, memory bigint, temperature real, throttled int, disk_free bigint,
        restarts bigint, scores bigint[], areas bigint[])
    ),
    fresh as (
      insert into telemetry (${COLUMNS}) select ${COLUMNS} from given order by ${KEY} on conflict do nothing
      returning ${KEY}
    )
    insert into telemetry_minutes as kept (device_id, at, model, messages, seconds, frames, latency_frames, p50_sum, p95_sum,
      p99_sum, inference_p95_sum, drops, cpu_sum, temperature_sum, temperature_count, throttled, p95_max, cpu_max, memory_max,
      temperature_max, restarts_max, fps_min, disk_free_min, scores, areas)
    select device_id, minute, model, ${single ? ADDED.single : ADDED.many} from given join fresh using (${KEY})
    ${single ? sql`` : sql`group by device_id, minute, model`} order by device_id, minute, model
    on conflict (device_id, at, model) do update set ${ADD_TO_KEPT}`;
}

/** The newest picture of an event counts. A picture that loses its place is noted for removal. */
export function upsertSnapshots(rows: readonly SnapshotRow[]): SQL {
  const given = rows.map(({ deviceId, eventId, sha256, bytes, receivedAt }) => ({
    ...{ device_id: deviceId, event_id: eventId, sha256, bytes, received_at: receivedAt },
  }));
  return sql`
    with given as materialized (
      select * from jsonb_to_recordset(${json(given)})
        as given(device_id text, event_id text, sha256 text, bytes int, received_at timestamptz)
    ),
    replaced as (
      insert into picture_deletions (sha256, at)
      select distinct snapshots.sha256, now() from snapshots join given using (device_id, event_id)
      where snapshots.sha256 <> given.sha256 order by 1
      on conflict (sha256) do update set at = excluded.at
    )
    insert into snapshots (device_id, event_id, sha256, bytes, received_at)
    select device_id, event_id, sha256, bytes, received_at from given order by device_id, event_id
    on conflict (device_id, event_id)
      do update set sha256 = excluded.sha256, bytes = excluded.bytes, received_at = excluded.received_at`;
}

/**
 * What boards say of themselves. A row is written only if it still is what the change was decided on: another replica may have
 * been there in between. Returns the ids that were written.
 */
export function updateDevices(changes: readonly [string, DeviceChange][]): SQL {
  const given = changes.map(([id, { was, history, reported }]) => ({
    id,
    was_boot_id: was.bootId,
    was_online: was.online,
    was_reported_boot_id: was.reported?.bootId ?? null,
    was_reported_sequence: was.reported?.sequence ?? null,
    born: history !== undefined,
    boot_id: history?.bootId ?? null,
    past_boots: history?.pastBoots ?? null,
    online: history?.online ?? null,
    presence_at: history?.at ?? null,
    reported: reported?.body ?? null,
    received_at: reported?.receivedAt ?? null,
  }));
  return sql`
    with given as materialized (
      select * from jsonb_to_recordset(${json(given)}) as given(id text, was_boot_id text, was_online boolean,
        was_reported_boot_id text, was_reported_sequence bigint, born boolean, boot_id text, past_boots jsonb, online boolean,
        presence_at timestamptz, reported jsonb, received_at timestamptz)
    ),
    locked as (
      select id from devices where id in (select id from given) and decommissioned_at is null order by id for update
    )
    update devices set
      boot_id = case when born then given.boot_id else devices.boot_id end,
      past_boots = case when born then given.past_boots else devices.past_boots end,
      online = case when born then given.online else devices.online end,
      presence_at = case when born then given.presence_at else devices.presence_at end,
      reported = coalesce(given.reported, devices.reported),
      reported_received_at = coalesce(given.received_at, devices.reported_received_at),
      agent_version = coalesce(given.reported ->> 'agentVersion', devices.agent_version)
    from given join locked using (id)
    where devices.id = given.id and devices.boot_id is not distinct from was_boot_id and devices.online = was_online
      and devices.reported_boot_id is not distinct from was_reported_boot_id
      and devices.reported_sequence is not distinct from was_reported_sequence
    returning devices.id`;
}

/**
 * Entries of the activity log for what this very transaction has written (a row's `xmin` is the transaction that wrote it).
 * It comes last: whoever writes to the log keeps all other writers of it waiting until the commit, so nothing may be waited
 * for after it.
 */
export function tell(told: readonly (readonly [string, DeviceReport])[], answers: readonly ReceivedRow[]): SQL {
  const reports = told.map(([id, { receivedAt, told: body }]) => ({ id, at: receivedAt, body }));
  const replies = answers.map(({ body }) => (body as { commandId: string }).commandId);
  return sql`
    insert into activity (at, kind, subject, actor, body)
    select given.at, 'device.reported', devices.id, devices.id, given.body
    from jsonb_to_recordset(${json(reports)}) as given(id text, at timestamptz, body jsonb) join devices using (id)
    where devices.xmin = pg_current_xact_id()::xid
    union all
    select answered_at, 'command.answered', device_id, device_id,
      jsonb_build_object('command', id, 'kind', command ->> 'kind', 'ok', ok, 'code', code)
    from commands
    where id in (select jsonb_array_elements_text(${json(replies)})) and xmin = pg_current_xact_id()::xid`;
}
