import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

export interface FleetFigures {
  /** Boards by whether they are online, in sync, revoked, and by class. */
  devices: { state: 'online' | 'offline' | 'revoked'; hardwareClass: string; count: number }[];
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
    const devices = await rows<{ state: 'online' | 'offline' | 'revoked'; hardwareClass: string; count: number }>(sql`
      select case when revoked_at is not null then 'revoked' when online then 'online' else 'offline' end as state,
        hardware_class as "hardwareClass", count(*) as count from devices group by 1, 2`);
    const releases = await rows<{ release: string; count: number }>(sql`
      select coalesce((reported #>> '{active,release,name}') || '@' || (reported #>> '{active,release,version}'), 'none') as release,
        count(*) as count from devices where revoked_at is null group by 1 order by 2 desc, 1`);
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
      devices: number(devices),
      releases: foldRest(number(releases)),
      ...{ rollouts: number(rollouts), alerts: number(alerts), deliveriesPending: Number(pending) },
    };
  }
}

function foldRest(releases: { release: string; count: number }[]): { release: string; count: number }[] {
  const rest = releases.slice(RELEASES).reduce((sum, { count }) => sum + count, 0);
  return rest === 0 ? releases : [...releases.slice(0, RELEASES), { release: 'other', count: rest }];
}
