import type { ReleaseReference } from '@vigie/protocol';
import { and, asc, desc, eq, inArray, lt, notInArray, or, type SQL, sql } from 'drizzle-orm';
import type { ReleaseState } from '../../registry/release-state.js';
import type { Pair, WaveTally } from '../../rollout/model.js';
import type { PlannedBoard } from '../../rollout/plan.js';
import { ENDED, type MemberState, OUTSIDE } from '../../rollout/states.js';
import type { Database } from './database.js';
import { BOARD, type BoardRow, boardOf, memberOf, rolloutOf, SEEN, type StoredRollout } from './rollout-rows.js';
import { devices, releases } from './schema/foundation.js';
import { rolloutDevices as members, rollouts } from './schema/rollouts.js';

/** States in which what a board reports is looked at. */
const WATCHED: readonly MemberState[] = ['offered', 'in-progress', 'deferred', 'succeeded', 'turning-back'];
/** States in which a board holds this rollout's release, or may come to. */
const HOLDING: readonly MemberState[] = ['offered', 'in-progress', 'deferred', 'succeeded', 'failed', 'declined'];

export interface TallyRow extends WaveTally {
  wave: number;
}

/** Reads what a step of a rollout looks at: by index, and only what changed or comes next. */
export class RolloutRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get #db() {
    return this.#database.drizzle;
  }

  /** Those that a step may move, newest first. */
  async active(): Promise<StoredRollout[]> {
    const following = and(eq(rollouts.state, 'succeeded'), sql`${rollouts.progress} ->> 'phase' = 'following'`);
    const rows = await this.#db
      .select()
      .from(rollouts)
      .where(or(notInArray(rollouts.state, [...ENDED, 'ready']), following))
      .orderBy(desc(rollouts.id));
    return rows.map(rolloutOf);
  }

  async find(id: number): Promise<StoredRollout | null> {
    const rows = await this.#db.select().from(rollouts).where(eq(rollouts.id, id));
    return rows[0] === undefined ? null : rolloutOf(rows[0]);
  }

  /** Newest first, from below `afterId`. */
  async list(
    afterId: number | null,
    limit: number,
    states?: readonly StoredRollout['state'][],
  ): Promise<StoredRollout[]> {
    const rows = await this.#db
      .select()
      .from(rollouts)
      .where(
        and(
          afterId === null ? undefined : lt(rollouts.id, afterId),
          states === undefined ? undefined : inArray(rollouts.state, [...states]),
        ),
      )
      .orderBy(desc(rollouts.id))
      .limit(limit);
    return rows.map(rolloutOf);
  }

  /** Counts of all members by wave; and the offers since `since`. */
  async tallies(id: number, now: Date, since: Date): Promise<{ tallies: WaveTally[]; starts: number }> {
    const waiting = sql`(${members.state} = 'waiting' or (${members.state} = 'deferred' and not ${members.out})) and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null`;
    const counted = (condition: SQL) => sql<number>`count(*) filter (where ${condition})::int`;
    const rows = await this.#db
      .select({
        wave: members.wave,
        state: members.state,
        count: sql<number>`count(*)::int`,
        out: counted(sql`${members.out}`),
        coming: counted(
          sql`${waiting} and ${devices.online} and not ${devices.pending} and coalesce(${members.retryAt} <= ${now.toISOString()}::timestamptz, true)`,
        ),
        unreachable: counted(sql`${waiting} and not ${devices.online}`),
        silent: counted(sql`${members.state} = 'succeeded' and not ${devices.online}`),
        starts: counted(sql`${members.offeredAt} > ${since.toISOString()}::timestamptz`),
      })
      .from(members)
      .leftJoin(devices, eq(devices.id, members.deviceId))
      .where(eq(members.rolloutId, id))
      .groupBy(members.wave, members.state);
    const tallies: WaveTally[] = [];
    let starts = 0;
    for (const row of rows) {
      tallies[row.wave] ??= { states: {}, out: 0, coming: 0, unreachable: 0, silent: 0 };
      const tally = tallies[row.wave];
      tally.states[row.state] = row.count;
      for (const figure of ['out', 'coming', 'unreachable', 'silent'] as const) tally[figure] += row[figure];
      starts += row.starts;
    }
    return { tallies, starts };
  }

  /** Members that were told and have changed since they were seen, or whose time is up; `all`: all that are out. */
  async touched(id: number, now: Date, all: boolean, limit: number): Promise<Pair[]> {
    const gone = sql`(${devices.id} is null or ${devices.revokedAt} is not null or ${devices.decommissionedAt} is not null)`;
    const changed = or(
      and(sql`${gone}`, or(members.out, eq(members.state, 'turning-back'))),
      and(inArray(members.state, [...WATCHED]), sql`${SEEN} <> ${members.seen}`),
      sql`${members.out} and ${members.holdUntil} <= ${now.toISOString()}::timestamptz`,
    );
    const rows = await this.#pairs(id)
      .where(and(eq(members.rolloutId, id), all ? sql`${members.out}` : changed))
      .orderBy(asc(members.holdUntil), asc(members.position))
      .limit(limit);
    return rows.map(pairOf);
  }

  /** Members that may be told now, in order. `zones`: those whose maintenance windows are open; null: any. */
  async candidates(
    id: number,
    wave: number,
    now: Date,
    zones: readonly string[] | null,
    limit: number,
  ): Promise<Pair[]> {
    const waiting = or(eq(members.state, 'waiting'), and(eq(members.state, 'deferred'), sql`not ${members.out}`));
    const rows = await this.#pairs(id)
      .where(
        and(
          ...[eq(members.rolloutId, id), sql`${members.wave} <= ${wave}`, waiting, devices.online],
          sql`not ${devices.pending} and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null`,
          sql`coalesce(${members.retryAt} <= ${now.toISOString()}::timestamptz, true)`,
          zones === null ? undefined : inArray(sql`coalesce(${devices.timeZone}, 'UTC')`, [...zones]),
        ),
      )
      .orderBy(asc(members.wave), asc(members.position))
      .limit(limit);
    return rows.map(pairOf);
  }

  /** Members that hold one of these releases by this rollout's word, and are not turned back; and how many there are. */
  async holding(id: number, digests: readonly string[], limit: number): Promise<{ pairs: Pair[]; count: number }> {
    const where = and(
      ...[eq(members.rolloutId, id), inArray(members.told, [...digests]), inArray(members.state, [...HOLDING])],
    );
    const [{ count }] = await this.#db.select({ count: sql<number>`count(*)::int` }).from(members).where(where);
    if (count === 0) return { pairs: [], count };
    const rows = await this.#pairs(id).where(where).orderBy(asc(members.position)).limit(limit);
    return { pairs: rows.map(pairOf), count };
  }

  /** Members without a certificate whose class is one of these by now (`*`: any). */
  async recertified(id: number, classes: readonly string[], limit: number): Promise<Pair[]> {
    if (classes.length === 0) return [];
    const any = classes.includes('*');
    const rows = await this.#pairs(id)
      .where(
        and(
          eq(members.rolloutId, id),
          eq(members.state, 'not-certified'),
          any ? undefined : inArray(devices.hardwareClass, [...classes]),
        ),
      )
      .limit(limit);
    return rows.map(pairOf);
  }

  /** Boards that are no members yet and that no newer rollout has; `ids`: of these only. */
  async newcomers(id: number, ids?: readonly string[]): Promise<PlannedBoard[]> {
    const rows = await this.#db
      .select({
        id: devices.id,
        tags: devices.tags,
        hardwareClass: devices.hardwareClass,
        running: devices.running,
        base: sql<string | null>`${devices.desired} #>> '{release,digest}'`,
      })
      .from(devices)
      .where(
        and(
          eq(devices.role, 'standard'),
          sql`not ${devices.pending} and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null`,
          sql`not exists (select 1 from ${members} where ${members.rolloutId} = ${id} and ${members.deviceId} = ${devices.id})`,
          sql`${this.#newer(id)} is null`,
          ids === undefined ? undefined : inArray(devices.id, [...ids]),
        ),
      )
      .orderBy(devices.id);
    return rows.map((row) => ({ ...row, previous: null }));
  }

  /** Releases of rollouts: what they are called, and whether they may be installed. */
  async releases(ids: readonly number[]): Promise<(ReleaseReference & { id: number; state: ReleaseState })[]> {
    return this.#db
      .select({
        ...{ id: releases.id, name: releases.name, version: releases.version },
        ...{ digest: releases.digest, state: releases.state },
      })
      .from(releases)
      .where(inArray(releases.id, [...ids]));
  }

  /** Digests of all releases that boards may be given. */
  async installable(): Promise<Set<string>> {
    const rows = await this.#db
      .select({ digest: releases.digest })
      .from(releases)
      .where(eq(releases.state, 'released'));
    return new Set(rows.map((row) => row.digest));
  }

  async nextPosition(id: number): Promise<number> {
    const [row] = await this.#db
      .select({ next: sql<number>`coalesce(max(${members.position}) + 1, 0)` })
      .from(members)
      .where(eq(members.rolloutId, id));
    return Number(row.next);
  }

  /** Zones that boards live in; null stands for UTC. */
  async timeZones(): Promise<string[]> {
    const rows = await this.#db
      .selectDistinct({ zone: sql<string>`coalesce(${devices.timeZone}, 'UTC')` })
      .from(devices);
    return rows.map((row) => row.zone);
  }

  /** Zones of a rollout's boards, sorted. */
  async zonesOf(id: number): Promise<string[]> {
    const zone = sql<string>`coalesce(${devices.timeZone}, 'UTC')`;
    const rows = await this.#db
      .selectDistinct({ zone })
      .from(members)
      .innerJoin(devices, eq(devices.id, members.deviceId))
      .where(eq(members.rolloutId, id))
      .orderBy(zone);
    return rows.map((row) => row.zone);
  }

  /** Told boards that have not answered for a while, though they are online: they may have missed it. */
  async unanswered(id: number, toldBefore: Date, limit: number): Promise<string[]> {
    const rows = await this.#db
      .select({ id: members.deviceId })
      .from(members)
      .innerJoin(devices, eq(devices.id, members.deviceId))
      .where(
        and(
          eq(members.rolloutId, id),
          or(and(eq(members.state, 'offered'), members.out), eq(members.state, 'turning-back')),
          sql`${devices.online} and coalesce(${devices.reportedGeneration}, 0) < ${devices.generation}`,
          sql`${devices.desired} ->> 'issuedAt' < ${toldBefore.toISOString()}`,
        ),
      )
      .limit(limit);
    return rows.map((row) => row.id);
  }

  #pairs(id: number) {
    return this.#db
      .select({
        member: members,
        board: BOARD,
        wantedBy: this.#newer(id),
        ownedBy: sql<number | null>`(select max(other.rollout_id) from ${members} other
          where other.device_id = ${members.deviceId} and other.rollout_id <> ${id} and other.generation = ${devices.generation})`,
      })
      .from(members)
      .leftJoin(devices, eq(devices.id, members.deviceId))
      .$dynamic();
  }

  /** The newest of the rollouts after this one that has the board and goes on, or has given it its release. */
  #newer(id: number) {
    const outside = sql.join(
      OUTSIDE.filter((state) => state !== 'already').map((state) => sql`${state}`),
      sql`, `,
    );
    const ended = sql.join(
      ENDED.filter((state) => state !== 'succeeded').map((state) => sql`${state}`),
      sql`, `,
    );
    return sql<
      number | null
    >`(select max(newer.rollout_id) from ${members} newer join ${rollouts} its on its.id = newer.rollout_id
      where newer.device_id = ${devices.id} and newer.rollout_id > ${id}
      and newer.state not in (${outside}) and its.state not in (${ended}))`;
  }
}

function pairOf(row: {
  member: typeof members.$inferSelect;
  board: BoardRow | null;
  wantedBy: number | null;
  ownedBy: number | null;
}): Pair {
  const { member, board, wantedBy, ownedBy } = row;
  return { member: memberOf(member), board: board === null ? null : boardOf(board), wantedBy, ownedBy };
}
