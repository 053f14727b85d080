import type { DeviceConfiguration } from '@vigie/protocol';
import { and, desc, eq, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { deviceRanges, within } from './device-ranges.js';
import { rawQuery } from './raw-query.js';
import { type ConfigurationScope, deviceConfigurations } from './schema/devices.js';
import { devices } from './schema/foundation.js';

export interface ConfigurationRecord {
  scope: ConfigurationScope;
  target: string;
  version: number;
  /** Null: taken back from this version on. */
  configuration: DeviceConfiguration | null;
  createdAt: Date;
  createdBy: string;
  note: string;
}

/** What one board is to be told of its configuration. */
export interface ConfigurationChange {
  id: string;
  /** The generation that it was decided on. */
  generation: number;
  configuration: DeviceConfiguration | null;
  digest: string | null;
}

/** Boards in one statement. */
const BOARDS_AT_ONCE = 1000;
/** First key of the advisory locks under which versions of one target are counted. */
const CONFIGURATION_LOCK = 0x636f_6e66;

/** Which configurations are wanted, and which one stands in each board's desired state. */
export class ConfigurationRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Adds the next version of a target and tells of it; those that come at the same moment get one after the other. */
  async add(record: Omit<ConfigurationRecord, 'version'>, digest: string | null): Promise<ConfigurationRecord> {
    const { scope, target, configuration, createdAt, createdBy, note } = record;
    const at = sql`${createdAt.toISOString()}::timestamptz`;
    const body = { digest, note };
    const subject = scope === 'fleet' ? 'fleet' : `${scope}:${target}`;
    const [, [{ version }]] = await this.#database.transaction([
      // The next statement sees what the one before it committed.
      rawQuery(this.#database, sql`select pg_advisory_xact_lock(${CONFIGURATION_LOCK}, hashtext(${subject}))`),
      rawQuery(
        this.#database,
        sql`insert into device_configurations (scope, target, version, configuration, created_at, created_by, note)
          select ${scope}, ${target}, coalesce(max(version), 0) + 1,
            ${configuration === null ? null : JSON.stringify(configuration)}::jsonb, ${at}, ${createdBy}, ${note}
          from device_configurations where scope = ${scope} and target = ${target} returning version`,
      ),
      rawQuery(
        this.#database,
        sql`insert into activity (at, kind, subject, actor, body)
          values (${at}, 'configuration.changed', ${subject}, ${createdBy}, ${JSON.stringify(body)}::jsonb)`,
      ),
    ]);
    return { ...record, version: version as number };
  }

  async newest(scope: ConfigurationScope, target: string): Promise<ConfigurationRecord | null> {
    return (await this.history(scope, target, null, 1))[0] ?? null;
  }

  /** Newest first, so many below the version `before`. */
  async history(
    scope: ConfigurationScope,
    target: string,
    before: number | null,
    limit: number,
  ): Promise<ConfigurationRecord[]> {
    return this.#database.drizzle
      .select()
      .from(deviceConfigurations)
      .where(
        and(
          eq(deviceConfigurations.scope, scope),
          eq(deviceConfigurations.target, target),
          before === null ? undefined : sql`${deviceConfigurations.version} < ${before}`,
        ),
      )
      .orderBy(desc(deviceConfigurations.version))
      .limit(limit);
  }

  /** The newest version of every target, those that were taken back left out. */
  async wanted(): Promise<{ scope: ConfigurationScope; target: string; configuration: DeviceConfiguration }[]> {
    return (await this.#database.drizzle.execute(sql`
      select * from (
        select distinct on (scope, target) scope, target, configuration from device_configurations
        order by scope, target, version desc
      ) newest where configuration is not null`)) as never;
  }

  /** Generation and digest of the configuration of every board that may be told something. */
  async standing(): Promise<Map<string, { generation: number; digest: string | null }>> {
    const { id, generation, configurationDigest } = devices;
    const found = new Map<string, { generation: number; digest: string | null }>();
    for await (const range of deviceRanges(this.#database, BOARDS_AT_ONCE)) {
      const rows = await this.#database.drizzle
        .select({ id, generation, digest: configurationDigest })
        .from(devices)
        .where(sql`${within(sql`id`, range)} and decommissioned_at is null and revoked_at is null and not pending`);
      for (const { id: device, ...rest } of rows) found.set(device, rest);
    }
    return found;
  }

  /**
   * Gives boards their configuration: the next generation of what they are told, in which nothing else changes. Boards that
   * were told something in between are left out. Returns those that were not.
   */
  async tell(changes: readonly ConfigurationChange[], at: Date): Promise<string[]> {
    if (changes.length === 0) return [];
    const rows = (await this.#database.drizzle.execute(sql`
      with given as materialized (
        select * from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb)
          as given(id text, generation bigint, configuration jsonb, digest text)
      ),
      locked as (select id from devices where id in (select id from given) order by id for update)
      update devices set
        generation = devices.generation + 1,
        configuration_digest = given.digest,
        desired = (coalesce(devices.desired, '{"release": null}'::jsonb) - 'configuration')
          || jsonb_build_object('deviceId', devices.id, 'generation', devices.generation + 1, 'issuedAt', ${at.toISOString()}::text)
          || case when given.configuration is null then '{}'::jsonb
               else jsonb_build_object('configuration', given.configuration) end
      from given join locked using (id)
      where devices.id = given.id and devices.generation = given.generation
      returning devices.id`)) as unknown as { id: string }[];
    return rows.map(({ id }) => id);
  }
}
