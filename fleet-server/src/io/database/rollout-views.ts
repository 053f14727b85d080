import type { ReleaseReference } from '@vigie/protocol';
import { and, asc, desc, eq, gt, inArray, lt, type SQL, sql } from 'drizzle-orm';
import type { MemberState } from '../../rollout/states.js';
import type { Database } from './database.js';
import { devices } from './schema/foundation.js';
import { rolloutDecisions as decisions, rolloutDevices as members } from './schema/rollouts.js';

/** Boards of one wave in one state, for one cause. */
export interface MemberCount {
  wave: number;
  state: MemberState | 'unreachable';
  code: string | null;
  cohort: 'A' | 'B';
  count: number;
  /** What one of them said. */
  example: string | null;
}

type CountRow = Omit<MemberCount, 'example'> & { rolloutId: number | string };
const keyOf = ({ rolloutId, wave, state, code, cohort }: CountRow) =>
  JSON.stringify([String(rolloutId), wave, state, code, cohort]);

export interface MemberView {
  deviceId: string;
  wave: number;
  cohort: 'A' | 'B';
  state: MemberState | 'unreachable';
  code: string | null;
  message: string | null;
  hardwareClass: string | null;
  online: boolean;
  generation: number | null;
  attempt: number;
  previous: ReleaseReference | null;
  offeredAt: Date | null;
  reachedAt: Date | null;
  endedAt: Date | null;
  retryAt: Date | null;
  fetchedBytes: number | null;
  position: number;
}

/** A waiting board that is offline cannot be reached: that is seen, not stored. */
const STATE = sql<
  MemberState | 'unreachable'
>`case when ${members.state} = 'waiting' and not coalesce(${devices.online}, false)
  then 'unreachable' else ${members.state} end`;

/** What people look at: counts, boards and decisions of a rollout. */
export class RolloutViews {
  constructor(private readonly database: Database) {}

  async countsOf(id: number): Promise<MemberCount[]> {
    return (await this.counts([id])).get(id) ?? [];
  }

  async counts(ids: readonly number[]): Promise<Map<number, MemberCount[]>> {
    const found = new Map<number, MemberCount[]>(ids.map((id) => [id, []]));
    if (ids.length === 0) return found;
    const these = sql`m.rollout_id in (${sql.join(
      [...ids].map((id) => sql`${id}`),
      sql`, `,
    )})`;
    const key = sql.raw('m.rollout_id as "rolloutId", m.wave, m.state, m.code, m.cohort');
    // Boards that are away are looked up in a hash (see RolloutRepository, tallies).
    const rows = await this.#rows<CountRow & { away: number }>(sql`
      select ${key}, count(*)::int as count,
        count(*) filter (where m.state = 'waiting' and m.device_id in (select id from devices where not online))::int as away
      from rollout_devices m where ${these} group by 1, 2, 3, 4, 5 order by 1, 2`);
    // Words are looked up for the few members that have them: with all of them it takes four times as long.
    const said = rows.some(({ code }) => code !== null)
      ? await this.#rows<CountRow & { example: string }>(sql`
          select ${key}, min(m.message) as example from rollout_devices m
          where ${these} and m.code is not null group by 1, 2, 3, 4, 5`)
      : [];
    const examples = new Map(said.map((row) => [keyOf(row), row.example]));
    for (const row of rows) {
      const { rolloutId, away, ...counted } = row;
      const example = examples.get(keyOf(row)) ?? null;
      const list = found.get(Number(rolloutId));
      if (row.count > away) list?.push({ ...counted, count: row.count - away, example });
      if (away > 0) list?.push({ ...counted, state: 'unreachable', count: away, example });
    }
    return found;
  }

  /** In the order of the rollout, behind this position. */
  async devices(
    id: number,
    { after, limit, ...only }: { after: number | null; limit: number; wave?: number; state?: string },
  ): Promise<MemberView[]> {
    return this.database.drizzle
      .select({
        ...{ deviceId: members.deviceId, wave: members.wave, cohort: members.cohort, state: STATE, code: members.code },
        ...{ message: members.message, hardwareClass: devices.hardwareClass, generation: members.generation },
        ...{ attempt: members.attempt, previous: members.previous, offeredAt: members.offeredAt },
        ...{ reachedAt: members.reachedAt, endedAt: members.endedAt, retryAt: members.retryAt },
        ...{ fetchedBytes: members.fetchedBytes, position: members.position },
        online: sql<boolean>`coalesce(${devices.online}, false)`,
      })
      .from(members)
      .leftJoin(devices, eq(devices.id, members.deviceId))
      .where(
        and(
          eq(members.rolloutId, id),
          after === null ? undefined : gt(members.position, after),
          only.wave === undefined ? undefined : eq(members.wave, only.wave),
          only.state === undefined ? undefined : sql`${STATE} = ${only.state}`,
        ),
      )
      .orderBy(asc(members.position))
      .limit(limit);
  }

  /** Newest first, below this id. */
  async decisions(
    id: number,
    after: number | null,
    limit: number,
    kinds?: readonly (typeof decisions.$inferSelect)['kind'][],
  ) {
    return this.database.drizzle
      .select()
      .from(decisions)
      .where(
        and(
          eq(decisions.rolloutId, id),
          after === null ? undefined : lt(decisions.id, after),
          kinds === undefined ? undefined : inArray(decisions.kind, [...kinds]),
        ),
      )
      .orderBy(desc(decisions.id))
      .limit(limit);
  }

  async #rows<Row>(query: SQL): Promise<Row[]> {
    return (await this.database.drizzle.execute(query)) as unknown as Row[];
  }
}
