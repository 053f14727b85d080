import type { ReleaseReference } from '@vigie/protocol';
import { and, asc, desc, eq, gt, inArray, lt, notInArray, or, type SQL, sql } from 'drizzle-orm';
import type { ReleaseState } from '../../registry/release-state.js';
import type { Pair, WaveTally } from '../../rollout/model.js';
import type { PlannedBoard } from '../../rollout/plan.js';
import { ENDED, type MemberState } from '../../rollout/states.js';
import type { Database } from './database.js';
import { BOARD, newerOf, pairOf, rolloutOf, SEEN, type StoredRollout } from './rollout-rows.js';
import { APART, devices, releases } from './schema/foundation.js';
import { rolloutDevices as members, rollouts } from './schema/rollouts.js';

/** Boards that one statement reads: while it runs, all others wait. */
const BOARDS_AT_ONCE = 1000;
/** States in which what a board reports is looked at. */
const WATCHED: readonly MemberState[] = ['offered', 'in-progress', 'deferred', 'succeeded', 'turning-back'];
/** States in which a board holds this rollout's release, or may come to. */
const HOLDING: readonly MemberState[] = ['offered', 'in-progress', 'deferred', 'succeeded', 'failed', 'declined'];

type TallyRow = Omit<WaveTally, 'states'> & { wave: number };

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

  /**
   * Counts of all members by wave; and the offers since `since`. Most boards of a fleet are online and may be told: the few that
   * are not are looked up and taken apart, so that no step reads every board. Looked up in a hash, not joined: joins of as many as
   * a fleet has that is just coming back take seconds when the planner, by its counts of before, believes that they are few.
   */
  async tallies(id: number, now: Date, since: Date): Promise<{ tallies: WaveTally[]; starts: number }> {
    const time = (at: Date) => sql`${at.toISOString()}::timestamptz`;
    const waiting = sql`(m.state = 'waiting' or (m.state = 'deferred' and not m.out))`;
    const among = (which: SQL) => sql`m.device_id in (select id from devices where ${which})`;
    const gone = sql`(revoked_at is not null or decommissioned_at is not null)`;
    const rows = (await this.#db.execute(sql`
      select m.wave, m.state, count(*)::int as count, count(*) filter (where m.out)::int as out,
        count(*) filter (where ${waiting} and coalesce(m.retry_at <= ${time(now)}, true) and not ${among(APART)})::int as coming,
        count(*) filter (where ${waiting} and ${among(sql`not online and not ${gone}`)})::int as unreachable,
        count(*) filter (where m.state = 'succeeded' and ${among(sql`not online`)})::int as silent,
        count(*) filter (where m.offered_at > ${time(since)})::int as starts
      from rollout_devices m
      where m.rollout_id = ${id} group by m.wave, m.state`)) as unknown as (TallyRow & {
      state: MemberState;
      count: number;
      starts: number;
    })[];
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

  /**
   * Members that were told and have changed since they were seen, or whose time is up; `all`: all that are out; `overdue`: only
   * those whose time is up.
   */
  async touched(id: number, now: Date, which: 'changed' | 'all' | 'overdue', limit: number): Promise<Pair[]> {
    const gone = sql`(${devices.id} is null or ${devices.revokedAt} is not null or ${devices.decommissionedAt} is not null)`;
    const overdue = sql`${members.out} and ${members.holdUntil} <= ${now.toISOString()}::timestamptz`;
    const changed = or(
      and(sql`${gone}`, or(members.out, eq(members.state, 'turning-back'))),
      and(inArray(members.state, [...WATCHED]), sql`${SEEN} <> ${members.seen}`),
      overdue,
    );
    const condition = { all: sql`${members.out}`, changed, overdue }[which];
    return this.#pairs(
      id,
      and(eq(members.rolloutId, id), condition),
      [asc(members.holdUntil), asc(members.position)],
      limit,
    );
  }

  /** Members that may be told now, in order. `zones`: those whose maintenance windows are open; null: any. */
  async candidates(
    id: number,
    wave: number,
    now: Date,
    zones: readonly string[] | null,
    limit: number,
  ): Promise<Pair[]> {
    const where = and(
      ...[eq(members.rolloutId, id), sql`${members.wave} <= ${wave}`, sql`${members.state} in ('waiting', 'deferred')`],
      ...[or(eq(members.state, 'waiting'), sql`not ${members.out}`), sql`${devices.online}`],
      sql`not ${devices.pending} and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null`,
      sql`coalesce(${members.retryAt} <= ${now.toISOString()}::timestamptz, true)`,
      zones === null ? undefined : inArray(sql`coalesce(${devices.timeZone}, 'UTC')`, [...zones]),
    );
    return this.#pairs(id, where, [asc(members.wave), asc(members.position)], limit);
  }

  /** Members that hold one of these releases by this rollout's word, and are not turned back; and how many there are. */
  async holding(id: number, digests: readonly string[], limit: number): Promise<{ pairs: Pair[]; count: number }> {
    const where = and(
      ...[eq(members.rolloutId, id), inArray(members.told, [...digests]), inArray(members.state, [...HOLDING])],
    );
    const [{ count }] = await this.#db.select({ count: sql<number>`count(*)::int` }).from(members).where(where);
    if (count === 0) return { pairs: [], count };
    return { pairs: await this.#pairs(id, where, [asc(members.position)], limit), count };
  }

  /** Members without a certificate whose class is one of these by now (`*`: any). */
  async recertified(id: number, classes: readonly string[], limit: number): Promise<Pair[]> {
    if (classes.length === 0) return [];
    const any = classes.includes('*');
    const where = and(
      eq(members.rolloutId, id),
      eq(members.state, 'not-certified'),
      any ? undefined : inArray(devices.hardwareClass, [...classes]),
    );
    return this.#pairs(id, where, [asc(members.position)], limit);
  }

  /** Boards that are no members yet and that no newer rollout has; `ids`: of these only. */
  async newcomers(id: number, ids?: readonly string[]): Promise<PlannedBoard[]> {
    const newer = newerOf(id, await this.#goingOn(id));
    const boards: PlannedBoard[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const rows: (Omit<PlannedBoard, 'previous'> & { free: boolean })[] = await this.#db
        .select({
          id: devices.id,
          tags: devices.tags,
          hardwareClass: devices.hardwareClass,
          running: devices.running,
          base: sql<string | null>`${devices.desired} #>> '{release,digest}'`,
          free: newer === null ? sql<boolean>`true` : sql<boolean>`${newer} is null`,
        })
        .from(devices)
        .where(
          and(
            ...[gt(devices.id, after), eq(devices.role, 'standard')],
            sql`not ${devices.pending} and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null`,
            sql`not exists (select 1 from ${members} where ${members.rolloutId} = ${id} and ${members.deviceId} = ${devices.id})`,
            ids === undefined ? undefined : inArray(devices.id, [...ids]),
          ),
        )
        .orderBy(devices.id)
        .limit(BOARDS_AT_ONCE);
      for (const { free, ...board } of rows) if (free) boards.push({ ...board, previous: null });
      after = rows.length < BOARDS_AT_ONCE ? null : rows[rows.length - 1].id;
    }
    return boards;
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

  /** Which members first, then what a step looks at of each: documents are read of those alone that are handed over. */
  async #pairs(id: number, where: SQL | undefined, order: readonly SQL[], limit: number): Promise<Pair[]> {
    const chosen = await this.#db
      .select({ id: members.deviceId })
      .from(members)
      .leftJoin(devices, eq(devices.id, members.deviceId))
      .where(where)
      .orderBy(...order)
      .limit(limit);
    if (chosen.length === 0) return [];
    const newer = newerOf(id, await this.#goingOn(id));
    const place = new Map(chosen.map((one, index) => [one.id, index]));
    const rows = await this.#db
      .select({
        member: members,
        board: BOARD,
        wantedBy: newer ?? sql<number | null>`null::integer`,
        ownedBy: sql<number | null>`(select max(other.rollout_id) from ${members} other
          where other.device_id = ${members.deviceId} and other.rollout_id <> ${id} and other.generation = ${devices.generation})`,
      })
      .from(members)
      .leftJoin(devices, eq(devices.id, members.deviceId))
      .where(and(eq(members.rolloutId, id), inArray(members.deviceId, [...place.keys()])));
    return rows.map(pairOf).sort((a, b) => (place.get(a.member.deviceId) ?? 0) - (place.get(b.member.deviceId) ?? 0));
  }

  /** Newer rollouts that go on, or have given boards their release: mostly none, and then no board need be looked at for them. */
  async #goingOn(id: number): Promise<number[]> {
    const over = ENDED.filter((state) => state !== 'succeeded');
    const rows = await this.#db
      .select({ id: rollouts.id })
      .from(rollouts)
      .where(and(gt(rollouts.id, id), notInArray(rollouts.state, [...over])));
    return rows.map((row) => row.id);
  }
}
