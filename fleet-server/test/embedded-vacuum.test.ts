import { rm } from 'node:fs/promises';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { EmbeddedVacuum } from '@vigie/fleet-server/io/database/embedded-vacuum';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestDatabase, temporaryFolder, until } from './server-fixture.js';

const BOARDS = 400;
let folder: string;
let database: Database;
const run = async <Row>(query: ReturnType<typeof sql>) => (await database.drizzle.execute(query)) as unknown as Row[];
const state = async () => {
  const [row] = await run<{ rows: number; dead: number }>(sql`
    select c.reltuples as rows, s.n_dead_tup as dead
    from pg_class c join pg_stat_all_tables s on s.relid = c.oid where c.oid = 'devices'::regclass`);
  return { rows: Number(row.rows), dead: Number(row.dead) };
};
/** Counters reach the table of statistics a second after a statement at the latest. */
const counted = (dead: number) => until(`${dead} dead rows to be counted`, async () => (await state()).dead >= dead);

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

it('a table of which a fifth is dead is vacuumed and counted; nothing is done twice; catalogs have their turn', async () => {
  const vacuum = new EmbeddedVacuum(database);
  // Whatever the migrations left.
  await vacuum.round();
  await run(sql`insert into devices (id, hardware_class, agent_version, enrolled_at)
    select 'b' || n, 'generic-x64', '0.1.0', now() from generate_series(1, ${BOARDS}) as n`);
  await run(sql`update devices set online = true`);
  await counted(BOARDS);
  expect(await vacuum.round()).toContain('public.devices');
  expect(await state()).toEqual({ rows: BOARDS, dead: 0 });
  await run(sql`update devices set online = false where id in ('b1', 'b2')`);
  await counted(2);
  expect(await vacuum.round()).not.toContain('public.devices');
  await run(sql`create table "Much ""quoted" (n int)`);
  await run(sql`insert into "Much ""quoted" select generate_series(1, 5000)`);
  await run(
    sql`do $$ begin for n in 1..300 loop create temporary table brief (n int); drop table brief; end loop; end $$`,
  );
  const done = new Set<string>();
  const all = ['public."Much ""quoted"', 'pg_catalog.pg_class', 'pg_catalog.pg_attribute'];
  await until('these to be vacuumed', async () => {
    for (const name of await vacuum.round()) done.add(name);
    return all.every((name) => done.has(name));
  });
});

it('transaction numbers do not run out: tables and catalogs are frozen by age, and the database is as young as its oldest one', async () => {
  const ages = async () => {
    const [row] = await run<{ database: number; devices: number }>(sql`
      select age(datfrozenxid) as database, (select age(relfrozenxid) from pg_class where oid = 'devices'::regclass) as devices
      from pg_database where datname = current_database()`);
    return row;
  };
  for (let index = 0; index < 300; index += 1)
    await run(sql`update devices set notes = ${String(index)} where id = 'b1'`);
  await new EmbeddedVacuum(database).round();
  // Plain vacuums leave young rows as they are.
  expect(Object.values(await ages()).every((age) => age > 300)).toBe(true);
  await new EmbeddedVacuum(database, 100).round();
  expect(Object.values(await ages()).every((age) => age < 300)).toBe(true);
});
