import type { Desired } from '@vigie/protocol';
import { eq, getTableColumns, sql } from 'drizzle-orm';
import { DatabaseError } from '../../database-error.js';
import type { Cohort, Decision, Member, Progress } from '../../rollout/model.js';
import type { RolloutSpec } from '../../rollout/spec.js';
import type { MemberState, RolloutState } from '../../rollout/states.js';
import type { ActivityEntry, ActivityRepository } from './activity-repository.js';
import type { Database, Query } from './database.js';
import { rawQuery } from './raw-query.js';
import { rolloutOf, rowOf, type StoredRollout } from './rollout-rows.js';
import { devices, releases } from './schema/foundation.js';
import { rolloutDecisions, rolloutDevices, rollouts } from './schema/rollouts.js';

/** PostgreSQL's division by zero: how a guard inside a transaction says that somebody else was there first. */
const GUARD_STATE = '22012';
/** Members in one statement. */
const ROWS_AT_ONCE = 2000;

export interface NewRollout {
  spec: RolloutSpec;
  releaseId: number;
  otherReleaseId: number | null;
  state: 'ready' | 'scheduled';
  progress: Progress;
  createdBy: string;
  startAt: Date | null;
}

/** All that one step or command writes. */
export interface RolloutWrite {
  actor: string;
  at: Date;
  state: RolloutState;
  progress: Progress;
  startedAt: Date | null;
  endedAt: Date | null;
  members: readonly { member: Member; seen: string | null }[];
  /** New desired states; each is one generation above what the board has. */
  desired: readonly Desired[];
  promote: Cohort | null;
  /** Members in these states wait again. */
  again: readonly MemberState[];
  decisions: readonly Decision[];
}

/** Writes steps of rollouts: each is one transaction that holds as a whole or not at all. */
export class RolloutWriter {
  readonly #database: Database;

  constructor(
    database: Database,
    private readonly activity: ActivityRepository,
  ) {
    this.#database = database;
  }

  /** `told`: what else the activity log says of it. */
  async create(
    rollout: NewRollout,
    decision: Decision,
    at: Date,
    told: readonly ActivityEntry[] = [],
  ): Promise<StoredRollout> {
    const { drizzle } = this.#database;
    const next = (await drizzle.execute(
      sql`select nextval(pg_get_serial_sequence('rollouts', 'id'))::int as id`,
    )) as unknown as { id: number }[];
    const id = Number(next[0].id);
    const entry = {
      ...{ at, kind: 'rollout.created' as const, subject: String(id), actor: rollout.createdBy },
      body: { text: decision.text, state: rollout.state, release: rollout.spec.release },
    };
    await this.#database.transaction([
      drizzle.insert(rollouts).values({ ...rollout, id, createdAt: at, updatedAt: at }),
      drizzle
        .insert(rolloutDecisions)
        .values({ ...decision, rolloutId: id, revision: 0, at, actor: rollout.createdBy }),
      this.activity.insertion([entry, ...told]),
    ]);
    const [row] = await drizzle.select().from(rollouts).where(eq(rollouts.id, id));
    return rolloutOf(row);
  }

  /**
   * Writes one step on top of the revision that it was decided from. Returns false, and has written nothing, when that
   * revision or a generation of a board has moved meanwhile: then it is read and decided anew.
   */
  async commit(rollout: StoredRollout, write: RolloutWrite): Promise<boolean> {
    const queries: Query[] = [this.#move(rollout, write)];
    if (write.desired.length > 0) queries.push(this.#tell(write.desired));
    for (let from = 0; from < write.members.length; from += ROWS_AT_ONCE)
      queries.push(this.#members(rollout.id, write.members.slice(from, from + ROWS_AT_ONCE)));
    if (write.promote !== null) queries.push(this.#promote(rollout.id, write.promote));
    if (write.again.length > 0) queries.push(this.#again(rollout.id, write.again));
    if (write.decisions.length > 0) {
      const rows = write.decisions.map((one) => ({
        ...one,
        rolloutId: rollout.id,
        revision: rollout.revision + 1,
        at: write.at,
        actor: write.actor,
      }));
      queries.push(this.#database.drizzle.insert(rolloutDecisions).values(rows));
    }
    const entries = entriesOf(rollout, write);
    if (entries.length > 0) queries.push(this.activity.insertion(entries));
    try {
      await this.#database.transaction(queries);
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && error.sqlState === GUARD_STATE) return false;
      throw error;
    }
  }

  /** The guard: the row is locked here, so a second writer waits, finds another revision and divides by zero. */
  #move(rollout: StoredRollout, { state, progress, startedAt, endedAt, at }: RolloutWrite): Query {
    const time = (when: Date | null) => sql`${when?.toISOString() ?? null}::timestamptz`;
    return rawQuery(
      this.#database,
      sql`with moved as (
        update ${rollouts} set state = ${state}, progress = ${JSON.stringify(progress)}::jsonb, started_at = ${time(startedAt)},
          ended_at = ${time(endedAt)}, updated_at = ${time(at)}, revision = revision + 1
        where id = ${rollout.id} and revision = ${rollout.revision} returning id)
      select 1 / count(*)::int as guard from moved`,
    );
  }

  /** New desired states. What is none of ours in them (the board's configuration) stays as it is. */
  #tell(desired: readonly Desired[]): Query {
    const rows = JSON.stringify(desired.map((one) => ({ id: one.deviceId, generation: one.generation, desired: one })));
    return rawQuery(
      this.#database,
      sql`with given as (select * from jsonb_to_recordset(${rows}::jsonb) as given(id text, generation bigint, desired jsonb)),
      told as (
        update ${devices} set generation = given.generation,
          desired = (coalesce(${devices.desired}, '{}'::jsonb) - '{retry,trial,shadow,delivery}'::text[]) || given.desired,
          desired_release_id = (select ${releases.id} from ${releases}
            where ${releases.name} = given.desired #>> '{release,name}' and ${releases.version} = given.desired #>> '{release,version}')
        from given where ${devices.id} = given.id and ${devices.generation} = given.generation - 1
          and ${devices.revokedAt} is null and ${devices.decommissionedAt} is null
        returning given.id)
      select 1 / (case when count(*) = ${desired.length} then 1 else 0 end) as guard from told`,
    );
  }

  #members(id: number, given: RolloutWrite['members']): Query {
    const rows = JSON.stringify(given.map(({ member, seen }) => rowOf(id, member, seen)));
    const changed = COLUMNS.filter((column) => !['rollout_id', 'device_id'].includes(column));
    const set = sql.raw(changed.map((column) => `"${column}" = excluded."${column}"`).join(', '));
    const columns = sql.raw(COLUMNS.map((column) => `"${column}"`).join(', '));
    return rawQuery(
      this.#database,
      sql`insert into ${rolloutDevices} (${columns}) select ${columns} from jsonb_populate_recordset(null::${rolloutDevices}, ${rows}::jsonb)
      on conflict (rollout_id, device_id) do update set ${set}`,
    );
  }

  /** Whoever holds the release that lost waits for the winner, in the last wave. */
  #promote(id: number, winner: Cohort): Query {
    return rawQuery(
      this.#database,
      sql`update ${rolloutDevices} set cohort = ${winner}, wave = (select jsonb_array_length(spec -> 'waves') from ${rollouts} where id = ${id}),
        state = 'waiting', code = null, message = null, ended_at = null, retry_at = null
      where rollout_id = ${id} and cohort <> ${winner} and not "out"
        and state not in ('left', 'taken-over', 'not-certified', 'turned-back', 'kept')`,
    );
  }

  #again(id: number, states: readonly MemberState[]): Query {
    const listed = sql.join(
      states.map((state) => sql`${state}`),
      sql`, `,
    );
    return rawQuery(
      this.#database,
      sql`update ${rolloutDevices} set state = 'waiting', code = null, message = null, ended_at = null, retry_at = null,
        attempt = greatest(attempt, 1)
      where rollout_id = ${id} and not "out" and (state in (${listed}) or (state in ('waiting', 'deferred') and retry_at is not null))`,
    );
  }
}

const COLUMNS = Object.values(getTableColumns(rolloutDevices)).map((column) => column.name);

function entriesOf(rollout: StoredRollout, write: RolloutWrite): ActivityEntry[] {
  const about = { at: write.at, subject: String(rollout.id), actor: write.actor };
  const release = rollout.spec.release;
  const entries: ActivityEntry[] = write.decisions.map(({ kind, wave, text }) => ({
    ...about,
    kind: kind === 'ended' ? 'rollout.ended' : 'rollout.decided',
    body: { kind, wave, text, state: write.state, release },
  }));
  if (write.state !== rollout.state) {
    const { reason } = write.progress;
    entries.push({
      ...about,
      kind: 'rollout.changed',
      body: { from: rollout.state, to: write.state, reason, release },
    });
  }
  return entries;
}
