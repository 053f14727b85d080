import { and, gt, inArray, isNotNull, lt, sql } from 'drizzle-orm';
import type { DeviceRole } from '../../devices/selector.js';
import type { PeerCertificate } from '../../ports.js';
import { Batch } from './batch.js';
import type { Database } from './database.js';
import { rawQuery } from './raw-query.js';
import { deviceCertificates } from './schema/foundation.js';

/** Certificates in one query. */
const LOOKED_UP_AT_ONCE = 500;

export interface CertificateRecord {
  deviceId: string;
  usedAt: Date | null;
  revokedAt: Date | null;
}

/** A certificate that was issued and not handed out yet. */
export interface NewCertificate {
  serial: string;
  expiresAt: Date;
}

/** A board that trades an enrolment token for a certificate. */
export interface EnrollingDevice {
  id: string;
  hardwareClass: string;
  agentVersion: string;
}

/** Which certificates count. */
export class CertificateRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Certificates that are asked for while a query runs share the next one: a whole fleet may connect in one moment. */
  readonly #lookup = new Batch<string, CertificateRecord>(LOOKED_UP_AT_ONCE, (serials) => this.#findAll(serials));

  async find(serial: string): Promise<CertificateRecord | null> {
    return this.#lookup.get(serial);
  }

  async #findAll(serials: readonly string[]): Promise<Map<string, CertificateRecord>> {
    const { serial, deviceId, usedAt, revokedAt } = deviceCertificates;
    const rows = await this.#database.drizzle
      .select({ serial, deviceId, usedAt, revokedAt })
      .from(deviceCertificates)
      .where(inArray(serial, [...serials]));
    return new Map(rows.map(({ serial: name, ...record }) => [name, record]));
  }

  /** Is there an enrolment token with this hash that can still be spent? */
  async tokenIsGood(tokenHash: string, now: Date): Promise<boolean> {
    const rows = await this.#database.drizzle.execute(sql`
      select 1 from enrollment_tokens
      where hash = ${tokenHash} and used < uses and revoked_at is null and expires_at > ${now.toISOString()}::timestamptz`);
    return (rows as unknown[]).length === 1;
  }

  /**
   * Spends a use of a token, writes the device and its certificate in one statement, so that a token works as often as it says
   * however many ask at the same time. A device that exists keeps its generation; what it had before is revoked. One that was
   * decommissioned starts anew. `approval`: every board has to be approved. Null: the token is not good.
   */
  async enroll(
    tokenHash: string,
    device: EnrollingDevice,
    certificate: NewCertificate,
    now: Date,
    approval: boolean,
  ): Promise<{ pending: boolean; role: DeviceRole; known: boolean } | null> {
    const at = sql`${now.toISOString()}::timestamptz`;
    const anew = sql`devices.decommissioned_at is not null`;
    const enrolling = sql`
      with spent as (
        update enrollment_tokens set used = used + 1, used_at = ${at}, used_by = ${device.id}
        where hash = ${tokenHash} and used < uses and revoked_at is null and expires_at > ${at}
        returning role, tags, approval or ${approval}::boolean as pending
      ),
      old as (
        update device_certificates set revoked_at = ${at}, superseded = true
        from spent where device_id = ${device.id} and revoked_at is null
      ),
      enrolled as (
        insert into devices (id, hardware_class, agent_version, enrolled_at, role, tags, pending)
        select ${device.id}, ${device.hardwareClass}, ${device.agentVersion}, ${at}, role, tags, pending from spent
        on conflict (id) do update set hardware_class = excluded.hardware_class, agent_version = excluded.agent_version,
          enrolled_at = excluded.enrolled_at, revoked_at = null, role = excluded.role, pending = excluded.pending,
          tags = case when ${anew} then excluded.tags else (
            select coalesce(jsonb_agg(tag order by tag), '[]') from (
              select jsonb_array_elements_text(devices.tags || excluded.tags) as tag group by 1) both_tags) end,
          name = case when ${anew} then '' else devices.name end,
          notes = case when ${anew} then '' else devices.notes end,
          time_zone = case when ${anew} then null else devices.time_zone end,
          boot_id = case when ${anew} then null else devices.boot_id end,
          past_boots = case when ${anew} then '[]'::jsonb else devices.past_boots end,
          reported = case when ${anew} then null else devices.reported end,
          reported_received_at = case when ${anew} then null else devices.reported_received_at end,
          presence_at = case when ${anew} then null else devices.presence_at end,
          decommissioned_at = null
        -- A row that was only inserted was never locked by anybody.
        returning id, pending, role, xmax <> 0 as known
      ),
      issued as (
        insert into device_certificates (serial, device_id, issued_at, expires_at)
        select ${certificate.serial}, id, ${at}, ${certificate.expiresAt.toISOString()}::timestamptz from enrolled
      )
      select pending, role, known from enrolled`;
    const told = sql`insert into activity (at, kind, subject, actor, body)
      select ${at}, 'device.enrolled', id, id,
        jsonb_build_object('hardwareClass', hardware_class, 'role', role, 'tags', tags, 'pending', pending)
      from devices where id = ${device.id} and xmin = pg_current_xact_id()::xid`;
    const [rows] = await this.#database.transaction([
      rawQuery(this.#database, enrolling),
      rawQuery(this.#database, told),
    ]);
    if (rows.length !== 1) return null;
    const { pending, role, known } = rows[0] as { pending: boolean; role: DeviceRole; known: boolean };
    return { pending, role, known };
  }

  /**
   * Adds a certificate beside the one that asked for it. Earlier ones that were never used (answers that got lost) are
   * revoked. False: the one that asked does not count any more.
   */
  async renew(deviceId: string, asking: string, certificate: NewCertificate, now: Date): Promise<boolean> {
    const at = now.toISOString();
    const rows = await this.#database.drizzle.execute(sql`
      with good as (
        select device_id from device_certificates
        where serial = ${asking} and device_id = ${deviceId} and revoked_at is null for update
      ),
      lost as (
        update device_certificates set revoked_at = ${at}::timestamptz, superseded = true from good
        where device_certificates.device_id = good.device_id and revoked_at is null and used_at is null and serial <> ${asking}
      )
      insert into device_certificates (serial, device_id, issued_at, expires_at)
      select ${certificate.serial}, device_id, ${at}::timestamptz, ${certificate.expiresAt.toISOString()}::timestamptz from good
      returning serial`);
    return (rows as unknown[]).length === 1;
  }

  /**
   * Takes in a certificate that the authority signed and that is not on record: the database is older than it, restored
   * from a backup. Only for a device that is known and not revoked; null otherwise.
   */
  async adopt({ deviceId, serial, expiresAt }: PeerCertificate, now: Date): Promise<CertificateRecord | null> {
    await this.#database.drizzle.execute(sql`
      insert into device_certificates (serial, device_id, issued_at, expires_at)
      select ${serial}, id, ${now.toISOString()}::timestamptz, ${expiresAt.toISOString()}::timestamptz
      from devices where id = ${deviceId} and revoked_at is null on conflict do nothing`);
    return this.find(serial);
  }

  /** Notes the first use, and revokes the others of the device. */
  async firstUse(serial: string, now: Date): Promise<void> {
    const at = now.toISOString();
    await this.#database.drizzle.execute(sql`
      with used as (
        update device_certificates set used_at = ${at}::timestamptz
        where serial = ${serial} and used_at is null and revoked_at is null returning device_id
      )
      update device_certificates set revoked_at = ${at}::timestamptz, superseded = true from used
      where device_certificates.device_id = used.device_id and serial <> ${serial} and revoked_at is null`);
  }

  /** Revokes all certificates of a device. False: there is no such device. */
  async revokeDevice(deviceId: string, now: Date): Promise<boolean> {
    const at = now.toISOString();
    const rows = await this.#database.drizzle.execute(sql`
      with gone as (
        update device_certificates set revoked_at = ${at}::timestamptz where device_id = ${deviceId} and revoked_at is null
      )
      update devices set revoked_at = ${at}::timestamptz where id = ${deviceId} returning id`);
    return (rows as unknown[]).length === 1;
  }

  /** What a revocation list holds: revoked and not expired. */
  async revoked(now: Date): Promise<{ serial: string; at: Date; superseded: boolean }[]> {
    const { serial, revokedAt, superseded, expiresAt } = deviceCertificates;
    const rows = await this.#database.drizzle
      .select({ serial, at: revokedAt, superseded })
      .from(deviceCertificates)
      .where(and(isNotNull(revokedAt), gt(expiresAt, now)))
      .orderBy(revokedAt, serial);
    return rows.flatMap((row) => (row.at === null ? [] : [{ ...row, at: row.at }]));
  }

  /** Forgets certificates that expired before `before`: whoever shows one is a stranger. */
  async dropExpired(before: Date): Promise<void> {
    await this.#database.drizzle.delete(deviceCertificates).where(lt(deviceCertificates.expiresAt, before));
  }
}
