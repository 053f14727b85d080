import type { Desired, Telemetry } from '@vigie/protocol';
import { and, desc, eq, inArray, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm';
import type { DeviceRecord } from '../../devices/device-view.js';
import type { Groups, SelectableDevice } from '../../devices/selector.js';
import type { Database } from './database.js';
import { type CountRow, type DeviceCounts, summed } from './device-counts.js';
import { behind, type DeviceFilter, deviceCondition } from './device-filter.js';
import { deviceRanges, within } from './device-ranges.js';
import { devices, telemetry } from './schema/foundation.js';

/** Boards in one statement that looks at all of them. */
const BOARDS_AT_ONCE = 1000;

const RECORD = {
  id: devices.id,
  hardwareClass: devices.hardwareClass,
  agentVersion: devices.agentVersion,
  enrolledAt: devices.enrolledAt,
  revokedAt: devices.revokedAt,
  pending: devices.pending,
  decommissionedAt: devices.decommissionedAt,
  name: devices.name,
  notes: devices.notes,
  role: devices.role,
  tags: devices.tags,
  timeZone: devices.timeZone,
  configurationDigest: devices.configurationDigest,
  bootId: devices.bootId,
  online: devices.online,
  presenceAt: devices.presenceAt,
  desired: devices.desired,
  reported: devices.reported,
  reportedReceivedAt: devices.reportedReceivedAt,
};

export class DeviceRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In the order of ids, so many behind the one with the id `after`. */
  async page(filter: DeviceFilter, groups: Groups, after: string | null, limit: number): Promise<DeviceRecord[]> {
    return this.#database.drizzle
      .select(RECORD)
      .from(devices)
      .where(and(deviceCondition(filter, groups), behind(after)))
      .orderBy(devices.id)
      .limit(limit);
  }

  /** How many boards a filter leaves, by what operators ask for first. */
  async counts(filter: DeviceFilter, groups: Groups): Promise<DeviceCounts> {
    const rows = (await this.#database.drizzle.execute(sql`
      select ${devices.running} as running, ${devices.phase} as phase, ${devices.hardwareClass} as class,
        count(*)::int as total, count(*) filter (where ${devices.online})::int as online,
        count(*) filter (where ${devices.inSync})::int as in_sync,
        count(*) filter (where ${devices.pending})::int as pending,
        count(*) filter (where ${devices.errorCode} is not null)::int as failing
      from devices where ${deviceCondition(filter, groups) ?? sql`true`} group by 1, 2, 3`)) as unknown as CountRow[];
    return summed(rows);
  }

  /** Everything that a selector looks at, of boards that may be told something. */
  async selectable(): Promise<SelectableDevice[]> {
    const { id, tags, hardwareClass, running } = devices;
    const found: SelectableDevice[] = [];
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE))
      found.push(
        ...(await this.#database.drizzle
          .select({ id, tags, hardwareClass, running })
          .from(devices)
          .where(
            and(
              within(sql`${id}`, range),
              isNull(devices.decommissionedAt),
              isNull(devices.revokedAt),
              eq(devices.pending, false),
            ),
          )
          .orderBy(id)),
      );
    return found;
  }

  /** Boards whose line has been gone since before `before`, longest first: `device lost` of the alerts. */
  async lost(before: Date, limit = 1000): Promise<{ id: string; since: Date }[]> {
    const rows = await this.#database.drizzle
      .select({ id: devices.id, since: devices.presenceAt })
      .from(devices)
      .where(
        and(
          eq(devices.online, false),
          lt(devices.presenceAt, before),
          isNull(devices.decommissionedAt),
          isNull(devices.revokedAt),
        ),
      )
      .orderBy(devices.presenceAt)
      .limit(limit);
    return rows.flatMap(({ id, since }) => (since === null ? [] : [{ id, since }]));
  }

  async find(id: string): Promise<DeviceRecord | null> {
    const rows = await this.#database.drizzle.select(RECORD).from(devices).where(eq(devices.id, id));
    return rows[0] ?? null;
  }

  async exists(id: string): Promise<boolean> {
    const rows = await this.#database.drizzle.select({ id: devices.id }).from(devices).where(eq(devices.id, id));
    return rows.length === 1;
  }

  /** Newest telemetry of one device. */
  async newestTelemetry(id: string): Promise<Telemetry | null> {
    const rows = await this.#database.drizzle
      .select({ body: telemetry.body })
      .from(telemetry)
      .where(eq(telemetry.deviceId, id))
      .orderBy(desc(telemetry.id))
      .limit(1);
    return (rows[0]?.body as Telemetry | undefined) ?? null;
  }

  /** Present generation of each of these devices that is enrolled and may be told something. */
  async generations(ids: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.#database.drizzle
      .select({ id: devices.id, generation: devices.generation })
      .from(devices)
      .where(and(inArray(devices.id, [...ids]), isNull(devices.decommissionedAt), eq(devices.pending, false)));
    return new Map(rows.map((row) => [row.id, row.generation]));
  }

  /**
   * Stores new desired states in one statement, of all of them or of none; a board's configuration stays; false: a generation has moved meanwhile. Rows are locked
   * first, and each is looked at again as it is written: replicas assign at the same time.
   */
  async assign(desired: readonly Desired[], releaseId: number): Promise<boolean> {
    const rows = JSON.stringify(desired.map((one) => ({ id: one.deviceId, generation: one.generation, desired: one })));
    const written = await this.#database.drizzle.execute(sql`
      with given as materialized (
        select * from jsonb_to_recordset(${rows}::jsonb) as given(id text, generation bigint, desired jsonb)
      ),
      locked as materialized (
        select devices.id, devices.generation from devices where devices.id in (select id from given)
        order by devices.id for update
      ),
      moved as materialized (
        select count(*) as stale from given left join locked on locked.id = given.id
        where locked.generation is distinct from given.generation - 1
      )
      update devices set generation = given.generation, desired = given.desired
        || case when devices.desired ? 'configuration' then jsonb_build_object('configuration', devices.desired -> 'configuration') else '{}' end,
        desired_release_id = ${releaseId}
      from given, moved
      where devices.id = given.id and moved.stale = 0 and devices.generation = given.generation - 1 returning devices.id`);
    return (written as unknown[]).length === desired.length;
  }

  /** Boards that are online and have not said that they know what is wanted of them, longest silent first. */
  async unconfirmed(limit: number): Promise<string[]> {
    const rows = await this.#database.drizzle
      .select({ id: devices.id })
      .from(devices)
      .where(
        and(
          eq(devices.online, true),
          isNotNull(devices.desired),
          sql`coalesce(${devices.reportedGeneration}, 0) < ${devices.generation}`,
        ),
      )
      .orderBy(sql`${devices.reportedReceivedAt} asc nulls first`, devices.id)
      .limit(limit);
    return rows.map(({ id }) => id);
  }

  /** What is wanted of these devices, or of all. */
  async desired(ids?: readonly string[]): Promise<Desired[]> {
    if (ids !== undefined) return this.#desired(inArray(devices.id, [...ids]));
    const found: Desired[] = [];
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE))
      found.push(...(await this.#desired(within(sql`${devices.id}`, range))));
    return found;
  }

  async #desired(which: SQL): Promise<Desired[]> {
    const rows = await this.#database.drizzle
      .select({ desired: devices.desired })
      .from(devices)
      .where(and(isNotNull(devices.desired), eq(devices.pending, false), isNull(devices.decommissionedAt), which));
    return rows.flatMap((row) => (row.desired === null ? [] : [row.desired]));
  }

  /** After a start of the embedded broker nobody is connected: births say who is back. */
  async markAllOffline(): Promise<void> {
    const gone = { online: false, presenceAt: sql`now()` };
    await this.#database.drizzle.update(devices).set(gone).where(eq(devices.online, true));
  }

  /** Of the boards whose presence changed last before this time, all but these are offline. */
  async markOfflineExcept(heard: ReadonlySet<string>, before: Date): Promise<void> {
    await this.#database.drizzle
      .update(devices)
      .set({ online: false, presenceAt: sql`now()` })
      .where(
        and(
          eq(devices.online, true),
          lt(devices.presenceAt, before),
          sql`${devices.id} not in (select jsonb_array_elements_text(${JSON.stringify([...heard])}::jsonb))`,
        ),
      );
  }
}
