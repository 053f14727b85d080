import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

type BoardState = 'online' | 'offline' | 'revoked';

export interface FleetFigures {
  /** Boards by whether they are online, in sync, revoked, and by class. */
  devices: { state: BoardState; hardwareClass: string; count: number }[];
  /** Boards by the release that they run; the commonest ones. */
  releases: { release: string; count: number }[];
  rollouts: { state: string; count: number }[];
  alerts: { severity: string; count: number }[];
  /** Deliveries that wait. */
  deliveriesPending: number;
}

/** Releases that are told apart; the rest is counted together: a label must not grow with the registry. */
const RELEASES = 50;

/** Counts of the whole fleet. */
export class FleetFiguresRepository {
  constructor(private readonly database: Database) {}

  /** Time of the shortest round trip to the database, s. */
  async ping(): Promise<number> {
    const began = performance.now();
    await this.database.drizzle.execute(sql`select 1`);
    return (performance.now() - began) / 1000;
  }

  async read(): Promise<FleetFigures> {
    const rows = async <T>(statement: ReturnType<typeof sql>) =>
      (await this.database.drizzle.execute(statement)) as unknown as T[];
    const number = <T extends { count: unknown }>(list: readonly T[]) =>
      list.map((row) => ({ ...row, count: Number(row.count) }));
    const boards = await rows<{ state: BoardState; hardwareClass: string; running: string | null; count: number }>(sql`
      select case when revoked_at is not null then 'revoked' when online then 'online' else 'offline' end as state,
        hardware_class as "hardwareClass", running, count(*)::int as count from devices group by 1, 2, 3`);
    const devices = summed(boards, ({ state, hardwareClass }) => `${state} ${hardwareClass}`, [
      'state',
      'hardwareClass',
    ]);
    const releases = summed(
      boards.flatMap(({ state, running, count }) =>
        state === 'revoked' ? [] : [{ release: running ?? 'none', count }],
      ),
      ({ release }) => release,
      ['release'],
    ).sort((a, b) => b.count - a.count || (a.release < b.release ? -1 : 1));
    const rollouts = await rows<{ state: string; count: number }>(
      sql`select state, count(*) as count from rollouts group by 1`,
    );
    const alerts = await rows<{ severity: string; count: number }>(
      sql`select severity, count(*) as count from alerts where state = 'raised' group by 1`,
    );
    const [{ pending }] = await rows<{ pending: unknown }>(
      sql`select count(*) as pending from deliveries where state = 'pending'`,
    );
    return {
      devices,
      releases: foldRest(releases),
      ...{ rollouts: number(rollouts), alerts: number(alerts), deliveriesPending: Number(pending) },
    };
  }
}

function foldRest(releases: { release: string; count: number }[]): { release: string; count: number }[] {
  const rest = releases.slice(RELEASES).reduce((sum, { count }) => sum + count, 0);
  return rest === 0 ? releases : [...releases.slice(0, RELEASES), { release: 'other', count: rest }];
}

/** Rows that agree in `kept`, which `keyOf` tells apart, become one. */
function summed<Row extends { count: number }, Kept extends keyof Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  kept: readonly Kept[],
): (Pick<Row, Kept> & { count: number })[] {
  const found = new Map<string, Pick<Row, Kept> & { count: number }>();
  for (const row of rows) {
    const key = keyOf(row);
    const one = found.get(key);
    if (one === undefined) {
      const named = Object.fromEntries(kept.map((name) => [name, row[name]])) as Pick<Row, Kept>;
      found.set(key, { ...named, count: row.count });
    } else one.count += row.count;
  }
  return [...found.values()];
}
