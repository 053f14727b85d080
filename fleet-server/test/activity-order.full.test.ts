import { ActivityRepository, type ActivityRow } from '@vigie/fleet-server/io/database/activity-repository';
import { PostgresDatabase } from '@vigie/fleet-server/io/database/postgres-database';
import { ActivityTail } from '@vigie/fleet-server/services/activity-tail';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresCluster } from './postgres-cluster.js';
import { until } from './until.js';

const log = pino({ level: 'silent' });
let cluster: PostgresCluster;
let database: PostgresDatabase;
let activity: ActivityRepository;
const clients: pg.Client[] = [];

beforeAll(async () => {
  cluster = await PostgresCluster.start();
  const limits = { connections: 10, statementTimeoutMs: 30_000, startupMs: 10_000 };
  database = await PostgresDatabase.open({ url: await cluster.createDatabase(), tls: null, ...limits, log });
  activity = new ActivityRepository(database);
});

afterAll(async () => {
  for (const client of clients) await client.end().catch(() => undefined);
  await database?.close();
  await cluster?.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(cluster.url(cluster.newest));
  client.on('error', () => undefined);
  clients.push(client);
  await client.connect();
  return client;
}

const insertion = (subject: string) =>
  `insert into activity (at, kind, subject, actor, body) values (now(), 'device.changed', '${subject}', 'x', '{}') returning id`;
/** As changes tell of themselves: an insert in a CTE beside another one, ids by the same sequence. */
const inCte = (subject: string) =>
  `with first as (${insertion(`${subject}a`)}) insert into activity (at, kind, subject, actor, body)
    select now(), 'device.changed', '${subject}b', 'x', '{}' from first returning id`;
const after = async (id: number) => (await activity.after(id, 1000)).map(({ subject }) => subject);

describe('readers that go on behind the newest id', () => {
  it('see nothing of a later writer before an earlier one has ended, however long that takes', async () => {
    for (const [index, end] of ['commit', 'rollback'].entries()) {
      const from = await activity.newestId();
      const [early, late] = [await connect(), await connect()];
      await early.query('begin');
      await early.query(inCte(`early${index}`));
      await late.query('begin');
      let done = false;
      const second = late.query(insertion(`late${index}`)).then(async (result) => {
        await late.query('commit');
        done = true;
        return Number(result.rows[0].id);
      });
      await until('the second writer to wait', async () => {
        const { rows } = await early.query('select 1 from pg_locks where not granted');
        return rows.length > 0;
      });
      expect([await after(from), done]).toEqual([[], false]);
      await early.query(end);
      const id = await second;
      const seen = end === 'commit' ? [`early${index}a`, `early${index}b`] : [];
      expect(await after(from)).toEqual([...seen, `late${index}`]);
      expect((await activity.range()).newest).toBe(id);
    }
  });

  it('miss none of what many connections write at the same time, some of which fail', async () => {
    const from = await activity.newestId();
    const committed: string[] = [];
    const seen: ActivityRow[] = [];
    const tail = new ActivityTail((id, limit) => activity.after(id, limit), log, 1);
    expect(tail.join((row) => void seen.push(row), from)).toBe(true);
    let polled = from;
    let writing = true;
    const heard: string[] = [];
    const poller = (async () => {
      for (let more = true; more; ) {
        more = writing;
        for (const row of await activity.after(polled, 50)) {
          heard.push(row.subject);
          polled = row.id;
          more = true;
        }
      }
    })();
    const writer = async (client: pg.Client, who: number) => {
      for (let turn = 0; turn < 60; turn += 1) {
        const subject = `w${who}-${turn}`;
        await client.query('begin');
        const twice = (who + turn) % 3 === 0;
        await client.query(twice ? inCte(subject) : insertion(subject));
        // Its own work goes on while it holds its ids.
        await client.query(`select count(*) from generate_series(1, ${((who * 7 + turn) % 5) * 10_000})`);
        const fails = (who + turn) % 7 === 0;
        await client.query(fails ? 'rollback' : 'commit');
        if (!fails) committed.push(...(twice ? [`${subject}a`, `${subject}b`] : [subject]));
      }
    };
    await Promise.all(
      Array.from({ length: 8 }, async (_, who) => {
        await writer(await connect(), who);
      }),
    );
    writing = false;
    await poller;
    await until('the tail to have read all', () => seen.length >= committed.length);
    await tail.close();
    expect(heard.sort()).toEqual([...committed].sort());
    expect(seen.map(({ subject }) => subject).sort()).toEqual([...committed].sort());
    expect(seen.every(({ id }, index) => index === 0 || id > seen[index - 1].id)).toBe(true);
  });

  it('pass over entries of other kinds for good, and never over one that they have not seen', async () => {
    const from = await activity.newestId();
    const client = await connect();
    const idOf = async (kind: string) =>
      Number((await client.query(insertion(kind).replace('device.changed', kind))).rows[0].id);
    const [first, second] = [await idOf('device.changed'), await idOf('device.changed')];
    const other = await idOf('release.uploaded');
    const passing = async (after: number, limit: number) => {
      const { rows, seenTo } = await activity.passing(after, limit, ['device.changed']);
      return [rows.map(({ id }) => id), seenTo];
    };
    expect(await passing(from, 10)).toEqual([[first, second], other]);
    // A full page may have more of the same behind it.
    expect(await passing(from, 2)).toEqual([[first, second], second]);
    expect(await passing(second, 10)).toEqual([[], other]);
    expect(await passing(other, 10)).toEqual([[], other]);
  });

  it('would miss some without the trigger: the test can tell', async () => {
    const from = await activity.newestId();
    await (await connect()).query('alter table activity disable trigger activity_in_order');
    const [early, late] = [await connect(), await connect()];
    await early.query('begin');
    await early.query(insertion('early'));
    await late.query(insertion('late'));
    const [newest] = (await activity.after(from, 10)).slice(-1);
    await early.query('commit');
    expect(await after(newest.id)).toEqual([]);
    expect(await after(from)).toEqual(['early', 'late']);
    await early.query('alter table activity enable trigger activity_in_order');
  });
});
