import { sql } from 'drizzle-orm';
import type { Board, Member, Pair, Rollout } from '../../rollout/model.js';
import { OUTSIDE } from '../../rollout/states.js';
import { devices } from './schema/foundation.js';
import { rolloutDevices as members, type rollouts } from './schema/rollouts.js';

/** A rollout as it is stored, with what the engine need not know. */
export interface StoredRollout extends Rollout {
  revision: number;
  releaseId: number;
  otherReleaseId: number | null;
  createdAt: Date;
  startAt: Date | null;
  endedAt: Date | null;
  updatedAt: Date;
}

export const rolloutOf = (row: typeof rollouts.$inferSelect): StoredRollout => ({
  ...row,
  startedAt: row.startedAt?.getTime() ?? null,
});

const ms = (at: Date | null): number | null => at?.getTime() ?? null;

export function memberOf(row: typeof members.$inferSelect): Member {
  const { rolloutId: _rollout, seen: _seen, ...member } = row;
  return {
    ...member,
    offeredAt: ms(row.offeredAt),
    reachedAt: ms(row.reachedAt),
    endedAt: ms(row.endedAt),
    holdUntil: ms(row.holdUntil),
    retryAt: ms(row.retryAt),
  };
}

export const BOARD = {
  id: devices.id,
  hardwareClass: devices.hardwareClass,
  tags: devices.tags,
  timeZone: devices.timeZone,
  running: devices.running,
  revokedAt: devices.revokedAt,
  decommissionedAt: devices.decommissionedAt,
  pending: devices.pending,
  online: devices.online,
  bootId: devices.bootId,
  generation: devices.generation,
  desired: devices.desired,
  reported: devices.reported,
};

export type BoardRow = {
  [K in keyof typeof BOARD]: (typeof devices.$inferSelect)[K];
};

export function boardOf({ revokedAt, decommissionedAt, ...row }: BoardRow): Board {
  return { ...row, revoked: revokedAt !== null || decommissionedAt !== null };
}

/** What of a board decides whether it must be looked at again; the same text as `seenOf` in rollout/seen.ts. */
export const SEEN = sql<string>`concat_ws('/', ${devices.bootId}, ${devices.reportedBootId}, ${devices.reportedSequence}, ${devices.generation})`;

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

/** A member as the row that is written, in JSON. */
export function rowOf(rolloutId: number, member: Member, seen: string | null): Record<string, unknown> {
  return {
    rollout_id: rolloutId,
    device_id: member.deviceId,
    wave: member.wave,
    position: member.position,
    cohort: member.cohort,
    state: member.state,
    out: member.out,
    code: member.code,
    message: member.message?.slice(0, 600) ?? null,
    base: member.base,
    told: member.told,
    generation: member.generation,
    previous: member.previous,
    attempt: member.attempt,
    offered_at: iso(member.offeredAt),
    reached_at: iso(member.reachedAt),
    ended_at: iso(member.endedAt),
    hold_until: iso(member.holdUntil),
    retry_at: iso(member.retryAt),
    before: member.before,
    fetched_bytes: member.fetchedBytes,
    seen: seen ?? '',
  };
}

/** What a step looks at of a member: `wantedBy` and `ownedBy` as in Pair. */
export function pairOf(row: {
  member: typeof members.$inferSelect;
  board: BoardRow | null;
  wantedBy: number | null;
  ownedBy: number | null;
}): Pair {
  const { member, board, wantedBy, ownedBy } = row;
  return { member: memberOf(member), board: board === null ? null : boardOf(board), wantedBy, ownedBy };
}

/** The newest of the rollouts `goingOn`, all after `id`, that has the board of the row of `devices`. Null: there is none of them. */
export function newerOf(id: number, goingOn: readonly number[]) {
  if (goingOn.length === 0) return null;
  const list = (values: readonly (string | number)[]) =>
    sql.join(
      values.map((value) => sql`${value}`),
      sql`, `,
    );
  // By the key of each: what the planner knows of a rollout that has just begun is that it has no boards.
  return sql<number | null>`(select max(going.id) from unnest(array[${list(goingOn)}]::integer[]) as going(id)
    where going.id > ${id} and exists (select 1 from ${members} newer
      where newer.rollout_id = going.id and newer.device_id = ${devices.id}
      and newer.state not in (${list(OUTSIDE.filter((state) => state !== 'already'))})))`;
}
