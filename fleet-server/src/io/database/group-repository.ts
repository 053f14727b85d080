import { eq, sql } from 'drizzle-orm';
import type { GroupSelector, Groups } from '../../devices/selector.js';
import type { Database } from './database.js';
import { deviceGroups } from './schema/devices.js';

export interface GroupRecord {
  name: string;
  selector: GroupSelector;
  description: string;
  /** Where several groups configure a board, the highest counts. */
  priority: number;
  createdAt: Date;
  updatedAt: Date;
}

/** Named selectors. */
export class GroupRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The group that counts first comes first. */
  async list(): Promise<GroupRecord[]> {
    const rows = await this.#database.drizzle
      .select()
      .from(deviceGroups)
      .orderBy(sql`${deviceGroups.priority} desc`, deviceGroups.name);
    return rows;
  }

  async find(name: string): Promise<GroupRecord | null> {
    const rows = await this.#database.drizzle.select().from(deviceGroups).where(eq(deviceGroups.name, name));
    return rows[0] ?? null;
  }

  /** What selectors by group mean now. */
  async selectors(): Promise<Groups> {
    return new Map((await this.list()).map(({ name, selector }) => [name, selector]));
  }

  async put(group: Omit<GroupRecord, 'createdAt' | 'updatedAt'>, at: Date): Promise<GroupRecord> {
    const { selector, description, priority } = group;
    const rows = await this.#database.drizzle
      .insert(deviceGroups)
      .values({ ...group, createdAt: at, updatedAt: at })
      .onConflictDoUpdate({ target: deviceGroups.name, set: { selector, description, priority, updatedAt: at } })
      .returning();
    return rows[0];
  }

  async remove(name: string): Promise<boolean> {
    const rows = await this.#database.drizzle
      .delete(deviceGroups)
      .where(eq(deviceGroups.name, name))
      .returning({ name: deviceGroups.name });
    return rows.length === 1;
  }
}
