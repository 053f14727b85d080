import type { Command } from '@vigie/protocol';
import { and, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { commands } from './schema/devices.js';
import { devices } from './schema/foundation.js';

export interface CommandRecord {
  id: string;
  deviceId: string;
  command: Command['command'];
  createdBy: string;
  issuedAt: Date;
  expiresAt: Date;
  answeredAt: Date | null;
  ok: boolean | null;
  code: string | null;
  result: unknown;
}

/** Commands, and what boards answered; the answers are written where boards' messages are. */
export class CommandRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** May this board be told something? */
  async standing(deviceId: string): Promise<'unknown' | 'pending' | 'revoked' | 'good'> {
    const { pending, revokedAt, decommissionedAt } = devices;
    const rows = await this.#database.drizzle
      .select({ pending, revokedAt, decommissionedAt })
      .from(devices)
      .where(eq(devices.id, deviceId));
    if (rows.length === 0 || rows[0].decommissionedAt !== null) return 'unknown';
    if (rows[0].revokedAt !== null) return 'revoked';
    return rows[0].pending ? 'pending' : 'good';
  }

  async add(
    record: Pick<CommandRecord, 'id' | 'deviceId' | 'command' | 'createdBy' | 'issuedAt' | 'expiresAt'>,
  ): Promise<void> {
    await this.#database.drizzle.insert(commands).values(record);
  }

  async find(deviceId: string, id: string): Promise<CommandRecord | null> {
    const rows = await this.#database.drizzle
      .select()
      .from(commands)
      .where(and(eq(commands.id, id), eq(commands.deviceId, deviceId)));
    return rows[0] ?? null;
  }

  /** Newest first, so many behind the one with this time and id. */
  async page(deviceId: string, after: readonly [string, string] | null, limit: number): Promise<CommandRecord[]> {
    const behind =
      after === null
        ? undefined
        : or(
            sql`${commands.issuedAt} < ${after[0]}::timestamptz`,
            and(sql`${commands.issuedAt} = ${after[0]}::timestamptz`, lt(commands.id, after[1])),
          );
    return this.#database.drizzle
      .select()
      .from(commands)
      .where(and(eq(commands.deviceId, deviceId), behind))
      .orderBy(desc(commands.issuedAt), desc(commands.id))
      .limit(limit);
  }

  /** Commands of these boards that still count and have no answer, oldest first. */
  async open(deviceIds: readonly string[], now: Date): Promise<CommandRecord[]> {
    if (deviceIds.length === 0) return [];
    return this.#database.drizzle
      .select()
      .from(commands)
      .where(and(inArray(commands.deviceId, [...deviceIds]), isNull(commands.answeredAt), gt(commands.expiresAt, now)))
      .orderBy(commands.issuedAt, commands.id);
  }

  async dropBefore(at: Date): Promise<void> {
    await this.#database.drizzle.delete(commands).where(lt(commands.issuedAt, at));
  }
}
