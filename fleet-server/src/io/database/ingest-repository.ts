import { and, desc, eq, inArray, isNull, lt, sql } from 'drizzle-orm';
import { stateText } from '../../devices/report-state.js';
import type { Database } from './database.js';
import type { DeviceOrder, IngestBatch, ReceivedTable, SnapshotRow } from './ingest-rows.js';
import {
  insertReceived,
  insertReplies,
  insertTelemetry,
  tell,
  updateDevices,
  upsertSnapshots,
} from './ingest-statements.js';
import { rawQuery } from './raw-query.js';
import { devices, events, replies, reports, snapshots, telemetry } from './schema/foundation.js';

const TABLES = { reports, telemetry, events, replies };

export interface EventQuery {
  device?: string;
  limit: number;
}

export class IngestRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async orders(deviceIds: readonly string[]): Promise<Map<string, DeviceOrder>> {
    if (deviceIds.length === 0) return new Map();
    const { id, bootId, pastBoots, online, reportedBootId, reportedSequence, decommissionedAt } = devices;
    const { reportedGeneration, phase, running, errorCode, agentVersion } = devices;
    const rows = await this.#database.drizzle
      .select({
        ...{ id, bootId, pastBoots, online, reportedBootId, reportedSequence },
        ...{ reportedGeneration, phase, running, errorCode, agentVersion },
        configuration: sql<string | null>`(${devices.reported} #>> '{configuration,digest}') || ' ' ||
          coalesce(${devices.reported} #>> '{configuration,code}', 'ok')`,
      })
      .from(devices)
      .where(and(inArray(id, [...deviceIds]), isNull(decommissionedAt)));
    return new Map(
      rows.map((row) => [
        row.id,
        {
          ...{ bootId: row.bootId, pastBoots: row.pastBoots, online: row.online },
          reported:
            row.reportedBootId === null || row.reportedSequence === null
              ? null
              : { bootId: row.reportedBootId, sequence: row.reportedSequence },
          state: stateText({ ...row, generation: row.reportedGeneration, error: row.errorCode }),
        },
      ]),
    );
  }

  /**
   * Commits a batch; rows that are there already (same device, boot, sequence) are left as they are. Returns the devices whose
   * row has changed since `orders` was asked: their changes were not written and have to be decided anew.
   */
  async commit({ rows, telemetry: measured, snapshots: pictures, devices: changes }: IngestBatch): Promise<string[]> {
    const changed = [...changes].sort(([a], [b]) => (a < b ? -1 : 1));
    const told = changed.flatMap(([id, { reported }]) =>
      reported === undefined || reported.told === null ? [] : [[id, reported] as const],
    );
    const statements = [
      ...(rows.reports.length > 0 ? [insertReceived('reports', rows.reports)] : []),
      ...(measured.length > 0 ? [insertTelemetry(measured)] : []),
      ...(rows.events.length > 0 ? [insertReceived('events', rows.events)] : []),
      ...(rows.replies.length > 0 ? [insertReplies(rows.replies)] : []),
      ...(pictures.length > 0 ? [upsertSnapshots(pictures)] : []),
      ...(changed.length > 0 ? [updateDevices(changed)] : []),
    ];
    const updating = changed.length > 0 ? statements.length - 1 : -1;
    if (told.length > 0 || rows.replies.length > 0) statements.push(tell(told, rows.replies));
    if (statements.length === 0) return [];
    const results = await this.#database.transaction(statements.map((one) => rawQuery(this.#database, one)));
    const written = new Set(results[updating]?.map(({ id }) => id));
    return changed.flatMap(([id]) => (written.has(id) ? [] : [id]));
  }

  async events({ device, limit }: EventQuery): Promise<{ deviceId: string; receivedAt: Date; body: unknown }[]> {
    return this.#database.drizzle
      .select({ deviceId: events.deviceId, receivedAt: events.receivedAt, body: events.body })
      .from(events)
      .where(device === undefined ? undefined : eq(events.deviceId, device))
      .orderBy(desc(events.id))
      .limit(limit);
  }

  async snapshot(deviceId: string, eventId: string): Promise<SnapshotRow | null> {
    const rows = await this.#database.drizzle
      .select()
      .from(snapshots)
      .where(and(eq(snapshots.deviceId, deviceId), eq(snapshots.eventId, eventId)));
    return rows[0] ?? null;
  }

  /** Drops all but the newest `keep` rows of a device; short statements, so that inserts come in between. */
  async prune(table: ReceivedTable, deviceId: string, keep: number): Promise<void> {
    const rows = TABLES[table];
    const oldestKept = this.#database.drizzle
      .select({ id: rows.id })
      .from(rows)
      .where(eq(rows.deviceId, deviceId))
      .orderBy(desc(rows.id))
      .offset(keep - 1)
      .limit(1);
    await this.#database.drizzle
      .delete(rows)
      .where(and(eq(rows.deviceId, deviceId), lt(rows.id, sql`(${oldestKept})`)));
  }

  /** Like `prune`; returns the hashes of pictures that no row names any more. */
  async pruneSnapshots(deviceId: string, keep: number): Promise<string[]> {
    const db = this.#database.drizzle;
    const surplus = await db
      .select({ id: snapshots.id, sha256: snapshots.sha256 })
      .from(snapshots)
      .where(eq(snapshots.deviceId, deviceId))
      .orderBy(desc(snapshots.id))
      .offset(keep);
    if (surplus.length === 0) return [];
    await db.delete(snapshots).where(
      inArray(
        snapshots.id,
        surplus.map((row) => row.id),
      ),
    );
    const hashes = [...new Set(surplus.map((row) => row.sha256))];
    const named = await db
      .select({ sha256: snapshots.sha256 })
      .from(snapshots)
      .where(inArray(snapshots.sha256, hashes));
    const kept = new Set(named.map((row) => row.sha256));
    return hashes.filter((hash) => !kept.has(hash));
  }
}
