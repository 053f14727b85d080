import type { Database } from '@vigie/fleet-server/io/database/database';
import { PgliteDatabase } from '@vigie/fleet-server/io/database/pglite-database';
import { PostgresDatabase } from '@vigie/fleet-server/io/database/postgres-database';
import { sql } from 'drizzle-orm';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresCluster } from './postgres-cluster.js';
import { temporaryFolder } from './server-fixture.js';

const log = pino({ level: 'silent' });
let cluster: PostgresCluster;
let url: string;
let database: PostgresDatabase;

const open = (changes: object = {}) =>
  PostgresDatabase.open({
    url,
    tls: null,
    connections: 4,
    statementTimeoutMs: 2000,
    startupMs: 20_000,
    log,
    ...changes,
  });

beforeAll(async () => {
  cluster = await PostgresCluster.start();
  url = await cluster.createDatabase();
  // Replicas of an upgrade start together.
  const replicas = await Promise.all([open(), open(), open(), open()]);
  await Promise.all(replicas.slice(1).map((one) => one.close()));
  database = replicas[0];
});

afterAll(async () => {
  await database?.close();
  await cluster?.stop();
});

describe('PostgreSQL as the database', () => {
  it('was migrated once by replicas that started together', async () => {
    const rows = await database.drizzle.execute(sql`select hash from drizzle.__drizzle_migrations`);
    const hashes = rows.map(({ hash }) => hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashes.length).toBeGreaterThan(0);
  });

  it('gives values in the form in which PGlite gives them', async () => {
    const embedded = await PgliteDatabase.open(await temporaryFolder(), () => undefined);
    const at = new Date('2026-03-29T01:30:00.123Z');
    const everything = sql`select 1::int2 a, 2::int4 b, 3::int8 c, 9007199254740993::int8 d, 1.50::numeric e, 1.5::float8 f,
      true g, '{"a":[1]}'::jsonb h, array[1,2]::int8[] i, array['x', null]::text[] j, ${at}::timestamptz l,
      interval '1 day 2 hours' m, 'x'::name n, count(*) o, array[1.50]::numeric[] s, '(1,2)'::point x, date '2020-01-01' y,
      null::int8 z, '11111111-1111-1111-1111-111111111111'::uuid q, ${5}::int8 + 1 as sum, ${'{"k":1}'}::jsonb ->> 'k' as k`;
    try {
      expect(await database.drizzle.execute(everything)).toEqual(await embedded.drizzle.execute(everything));
      const asArrays = (one: Database) =>
        one.drizzle.select({ at: sql<string>`${at}::timestamptz` }).from(sql`(select 1) t`);
      expect(await asArrays(database)).toEqual(await asArrays(embedded));
    } finally {
      await embedded.close();
    }
  });

  it('runs a list of queries in one transaction, all or none', async () => {
    await database.drizzle.execute(sql`create table pairs (n int primary key)`);
    await expect(
      database.transaction([query(`insert into pairs values (1)`), query(`insert into pairs values (1)`)]),
    ).rejects.toMatchObject({ code: 'DATABASE_FAILED', sqlState: '23505' });
    expect(await database.drizzle.execute(sql`select * from pairs`)).toEqual([]);
    const results = await database.transaction([
      query(`insert into pairs values (2) returning n`),
      query(`select count(*) as rows from pairs`),
    ]);
    expect(results).toEqual([[{ n: 2 }], [{ rows: 1 }]]);
  });

  it('runs a transaction again that a deadlock rolled back', async () => {
    await database.drizzle.execute(sql`create table counters (id int primary key, n int)`);
    await database.drizzle.execute(sql`insert into counters values (1, 0), (2, 0)`);
    const add = (id: number) => query(`update counters set n = n + 1 where id = ${id}`);
    const wait = query('select pg_sleep(0.2)');
    await Promise.all([database.transaction([add(1), wait, add(2)]), database.transaction([add(2), wait, add(1)])]);
    expect(await database.drizzle.execute(sql`select n from counters order by id`)).toEqual([{ n: 2 }, { n: 2 }]);
  });

  it('cuts a statement that takes too long, and goes on', async () => {
    await expect(database.transaction([query('select pg_sleep(30)')])).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      sqlState: '57014',
    });
    expect(await database.drizzle.execute(sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it('fails while the database is away, and works again when it is back', async () => {
    const slow = database.transaction([query('select pg_sleep(1.5)')]).catch((error: unknown) => error);
    await cluster.halt('SIGQUIT');
    expect(await slow).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await expect(database.transaction([query('select 1')])).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    const opening = open();
    await cluster.boot();
    expect(await database.drizzle.execute(sql`select n from pairs`)).toEqual([{ n: 2 }]);
    // One that was started meanwhile waited for it.
    await (await opening).close();
  });

  it('says what is wrong without the password', async () => {
    const failure = await open({ url: 'postgres://vigie:hunter2@127.0.0.1:1/vigie', startupMs: 0 }).catch(
      (error) => error,
    );
    expect(failure).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(failure.message).toMatch(/^database\.url \(127\.0\.0\.1:1\/vigie\): .*ECONNREFUSED/);
    expect(JSON.stringify(failure) + failure.message + failure.stack).not.toContain('hunter2');
  });
});

function query(text: string) {
  return { toSQL: () => ({ sql: text, params: [] }) };
}
