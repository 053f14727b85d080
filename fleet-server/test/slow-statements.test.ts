import { PgliteDatabase, type SlowStatements } from '@vigie/fleet-server/io/database/pglite-database';
import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { temporaryFolder } from './until.js';

/** Takes a second or so. */
const LONG = sql`select count(*) from generate_series(1, 2000000)`;

it('tells of statements that take long, and of no other that waits behind them', async () => {
  const told: string[] = [];
  const slow: SlowStatements = { ms: 200, told: ({ sql: text, ms }) => told.push(`${text} ${ms >= 200}`) };
  const lost = (error: Error) => {
    throw error;
  };
  const database = await PgliteDatabase.open(`${await temporaryFolder()}/database`, lost, undefined, slow);
  try {
    told.length = 0;
    await Promise.all([
      database.drizzle.execute(LONG),
      database.drizzle.execute(sql`select 1`),
      database.drizzle.execute(sql`select nothing`).catch(() => undefined),
      database.drizzle.execute(sql`select 2`),
    ]);
    expect(told).toEqual(['select count(*) from generate_series(1, 2000000) true']);
  } finally {
    await database.close();
  }
});

it('takes what people ask before other work that waits already', async () => {
  const lost = (error: Error) => {
    throw error;
  };
  const database = await PgliteDatabase.open(`${await temporaryFolder()}/database`, lost);
  try {
    const ended: string[] = [];
    const ask = (of: { drizzle: typeof database.drizzle }, name: string) =>
      of.drizzle.execute(sql`select 1`).then(() => ended.push(name));
    const [background, fleet] = [database.ranked('background'), database.ranked('fleet')];
    // While it works, all the others line up behind it; a query of Drizzle begins when it is waited for. On a busy machine all may
    // arrive in one moment, and it begins last.
    const long = background.drizzle.execute(LONG).then(() => ended.push('long'));
    const duties = Array.from({ length: 5 }, (_, index) => ask(background, `duty ${index}`));
    const messages = Array.from({ length: 5 }, (_, index) => ask(fleet, `message ${index}`));
    await Promise.all([long, ...duties, ...messages, ask(database, 'page')]);
    expect(ended.filter((name) => name !== 'long')[0]).toBe('page');
    const of = (kind: string) => ended.filter((name) => name.startsWith(kind));
    expect(of('duty')).toEqual(['duty 0', 'duty 1', 'duty 2', 'duty 3', 'duty 4']);
    expect(of('message')).toEqual(['message 0', 'message 1', 'message 2', 'message 3', 'message 4']);
    expect(ended.indexOf('message 4')).toBeLessThan(ended.indexOf('duty 4'));
  } finally {
    await database.close();
  }
});
