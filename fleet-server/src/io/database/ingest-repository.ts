import type { Reported } from '@vigie/protocol';
import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';
import type { BootHistory } from '../../devices/ordering.js';
import type { Database } from './database.js';
import { devices, events, replies, reports, snapshots, telemetry } from './schema/foundation.js';

const TABLES = { reports, telemetry, events, replies };
export type ReceivedTable = keyof typeof TABLES;

/** One message with a boot id and a sequence. */
export interface ReceivedRow {
  deviceId: string;
  bootId: string;
  sequence: number;
  at: Date;
  receivedAt: Date;
  body: unknown;
}

export interface SnapshotRow {
  deviceId: string;
  eventId: string;
  sha256: string;
  bytes: number;
  receivedAt: Date;
}

/** What orders a device's messages, as it is stored. */
export interface DeviceOrder extends BootHistory {
  reported: { bootId: string; sequence: number } | null;
}

/** Changes of one device's row. */
export interface DeviceChange {
  history?: BootHistory & { at: Date };
  reported?: { body: Reported; receivedAt: Date };
}

/** Everything that one commit writes. */
export interface IngestBatch {
  rows: Record<ReceivedTable, ReceivedRow[]>;
  snapshots: SnapshotRow[];
  devices: Map<string, DeviceChange>;
}

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
    const rows = await this.#database.drizzle
      .select({
        id: devices.id,
        bootId: devices.bootId,
        pastBoots: devices.pastBoots,
        online: devices.online,
        reported: devices.reported,
      })
      .from(devices)
      .where(inArray(devices.id, [...deviceIds]));
    return new Map(
      rows.map(({ id, reported, ...history }) => [
        id,
        { ...history, reported: reported && { bootId: reported.bootId, sequence: reported.sequence } },
      ]),
    );
  }

  /** Commits a batch; rows that are there already (same device, boot, sequence) are left as they are. */
  async commit(batch: IngestBatch): Promise<void> {
    const db = this.#database.drizzle;
    const queries: { toSQL(): { sql: string; params: unknown[] } }[] = [];
    for (const [name, rows] of Object.entries(batch.rows)) {
      if (rows.length > 0)
        queries.push(
          db
            .insert(TABLES[name as ReceivedTable])
            .values(rows)
            .onConflictDoNothing(),
        );
    }
    for (const row of batch.snapshots) {
      const { sha256, bytes, receivedAt } = row;
      const target = [snapshots.deviceId, snapshots.eventId];
      queries.push(db.insert(snapshots).values(row).onConflictDoUpdate({ target, set: { sha256, bytes, receivedAt } }));
    }
    for (const [id, { history, reported }] of batch.devices) {
      const set = {
        ...(history && {
          bootId: history.bootId,
          pastBoots: history.pastBoots,
          online: history.online,
          presenceAt: history.at,
        }),
        ...(reported && { reported: reported.body, reportedReceivedAt: reported.receivedAt }),
      };
      queries.push(
        db
          .update(devices)
          .set(set as Partial<typeof devices.$inferInsert>)
          .where(eq(devices.id, id)),
      );
    }
    if (queries.length > 0) await this.#database.transaction(queries);
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

  /** Gives dead rows back: the embedded engine has no autovacuum. */
  async vacuum(): Promise<void> {
    await this.#database.drizzle.execute(sql`vacuum`);
  }
}
