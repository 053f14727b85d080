import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { PGlite, types } from '@electric-sql/pglite';
import type { Performed, Statement } from './database.js';
import { LARGE_PARAMETERS } from './large-parameters.js';
import type { DatabaseReply, DatabaseRequest } from './pglite-messages.js';
import { StatementLine } from './statement-line.js';

/**
 * PGlite on a thread of its own: a query is WASM on one thread, and in the server's it would hold the broker.
 * Requests are answered one after the other, in the order of `StatementLine`.
 */
if (parentPort === null) throw new Error('pglite-worker runs as a worker thread');
const port = parentPort;

// Drizzle maps times itself and wants them as PostgreSQL writes them.
const asWritten = (value: string) => value;
const parsers = { [types.TIMESTAMP]: asWritten, [types.TIMESTAMPTZ]: asWritten, [types.DATE]: asWritten };

const { directory, slowMs } = workerData as { directory: string; slowMs: number };
const database = await PGlite.create({ dataDir: directory, serializers: LARGE_PARAMETERS });
// Its pages are in memory: what PostgreSQL assumes of a disk makes it read whole tables where a few rows are wanted.
// Statistics are gathered between the statements of others: a small sample is enough for plans as plain as ours.
await database.exec('set random_page_cost = 1.1; set default_statistics_target = 10');

type Runner = Pick<PGlite, 'query'>;
async function ask(runner: Runner, { sql, params, rows }: Statement) {
  const began = performance.now();
  try {
    return await runner.query(sql, params, { rowMode: rows, parsers });
  } finally {
    const ms = performance.now() - began;
    if (ms > slowMs) port.postMessage({ id: null, slow: { sql, ms } } satisfies DatabaseReply);
  }
}
async function run(runner: Runner, statement: Statement): Promise<unknown[]> {
  return (await ask(runner, statement)).rows;
}

async function answer(request: DatabaseRequest): Promise<unknown> {
  switch (request.operation) {
    case 'query':
      return run(database, request.statement);
    case 'transaction':
      return database.transaction(async (transaction) => {
        const results: unknown[][] = [];
        for (const statement of request.statements)
          results.push(await run(transaction as unknown as Runner, statement));
        return results;
      });
    case 'perform':
      return database.transaction(async (transaction): Promise<Performed> => {
        const runner = transaction as unknown as Runner;
        const results: unknown[][] = [];
        let changed = false;
        for (const statement of request.statements) {
          const { rows, affectedRows = 0 } = await ask(runner, statement);
          results.push(rows);
          changed ||= statement.writes && (affectedRows > 0 || rows.length > 0);
        }
        return { results, last: changed ? await run(runner, request.last) : null };
      });
    case 'close':
      return database.close();
  }
}

async function serve(request: DatabaseRequest): Promise<void> {
  const { id } = request;
  try {
    port.postMessage({ id, ok: true, result: await answer(request) } satisfies DatabaseReply);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    port.postMessage({ id, ok: false, message, sqlState: code ?? null } satisfies DatabaseReply);
  }
}

const line = new StatementLine<DatabaseRequest>();
let serving = false;

/** One request after the other, so that the time of a statement is its own. */
port.on('message', async (first: DatabaseRequest) => {
  line.add(first);
  if (serving) return;
  serving = true;
  for (;;) {
    // What came while a statement held this thread: it may go before what waits here.
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
      line.add(next.message as DatabaseRequest);
    const request = line.take();
    if (request === undefined) break;
    const began = performance.now();
    await serve(request);
    line.served(performance.now() - began);
  }
  serving = false;
});
port.postMessage({ id: 0, ok: true, result: null } satisfies DatabaseReply);
