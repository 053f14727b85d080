import { inArray, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { devices } from './schema/foundation.js';
import { toldChange } from './told-change.js';

/** Boards whose coming or going is told in one statement. */
const AT_ONCE = 500;

/** What operators say of a board. */
export interface DeviceChanges {
  name?: string;
  notes?: string;
  tags?: readonly string[];
  timeZone?: string | null;
}

/** Changes that operators make to boards, each with its line in the activity log. */
export class DeviceAdministration {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** False: there is no such board. */
  async change(id: string, changes: DeviceChanges, actor: string, at: Date): Promise<boolean> {
    const { name, notes, timeZone } = changes;
    const tags = changes.tags === undefined ? undefined : [...new Set(changes.tags)].sort();
    const set: SQL[] = [
      ...(name === undefined ? [] : [sql`name = ${name}`]),
      ...(notes === undefined ? [] : [sql`notes = ${notes}`]),
      ...(tags === undefined ? [] : [sql`tags = ${JSON.stringify(tags)}::jsonb`]),
      ...(timeZone === undefined ? [] : [sql`time_zone = ${timeZone}`]),
    ];
    const update = sql`update devices set ${sql.join([...set, sql`id = id`], sql`, `)}
      where id = ${id} and decommissioned_at is null returning id`;
    const told = { at, kind: 'device.changed' as const, actor, body: { ...changes, ...(tags && { tags }) } };
    return (await toldChange(this.#database, update, told)).length === 1;
  }

  /** Lets a board that waits be told things. False: there is none that waits. */
  async approve(id: string, actor: string, at: Date): Promise<boolean> {
    const update = sql`update devices set pending = false
      where id = ${id} and pending and decommissioned_at is null returning id`;
    const told = { at, kind: 'device.approved' as const, actor, body: {} };
    return (await toldChange(this.#database, update, told)).length === 1;
  }

  /**
   * Takes a board out of the fleet. Its generation stays, so that one which is enrolled anew under this id is never told
   * something older than before. False: there is no such board, or it is gone already.
   */
  async decommission(id: string, actor: string, at: Date): Promise<boolean> {
    const time = sql`${at.toISOString()}::timestamptz`;
    const update = sql`update devices set decommissioned_at = ${time}, revoked_at = coalesce(revoked_at, ${time}), online = false,
        announced_online = false, presence_at = ${time}, desired = null, desired_release_id = null, configuration_digest = null
      where id = ${id} and decommissioned_at is null returning id`;
    const told = { at, kind: 'device.decommissioned' as const, actor, body: {} };
    return (await toldChange(this.#database, update, told)).length === 1;
  }

  /**
   * Says in the log whose line came, and whose has been gone since before `before`. Once, however many replicas ask. Which boards
   * is asked first, alone: whatever the planner believes of how many there are, nothing here joins them.
   */
  async announcePresence(at: Date, before: Date): Promise<void> {
    const due = sql`online <> announced_online and decommissioned_at is null`;
    const announce = async (online: boolean, old: SQL) => {
      // A whole fleet may come or go in one moment: so many in one statement, the others' questions in between.
      for (let found = AT_ONCE; found === AT_ONCE; ) {
        const rows = (await this.#database.drizzle.execute(
          sql`select id from devices where ${due} and online = ${online} and ${old} limit ${AT_ONCE}`,
        )) as unknown as { id: string }[];
        found = rows.length;
        if (found === 0) return;
        const these = inArray(
          devices.id,
          rows.map(({ id }) => id),
        );
        await toldChange(
          this.#database,
          sql`update devices set announced_online = ${online}
            where ${these} and ${due} and online = ${online} and ${old} returning id`,
          { at, kind: online ? 'device.online' : 'device.offline', actor: 'system', body: {} },
        );
      }
    };
    await announce(true, sql`true`);
    await announce(false, sql`presence_at < ${before.toISOString()}::timestamptz`);
  }
}
