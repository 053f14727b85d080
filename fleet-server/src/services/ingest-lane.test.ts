import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { DatabaseError } from '../database-error.js';
import { IngestLane } from './ingest-lane.js';

const log = pino({ level: 'silent' });

/** A database that notes what it is given. `refuse` says what becomes of a batch: null lets it in. */
function laneWith(refuse: (batch: readonly string[]) => Error | null = () => null) {
  const batches: string[][] = [];
  const failed: string[] = [];
  const commit = async (batch: readonly string[]) => {
    const error = refuse(batch);
    if (error !== null) throw error;
    batches.push([...batch]);
  };
  const lane = new IngestLane<string>('test', commit, (entry, error) => failed.push(`${entry}: ${error.message}`), log);
  return { lane, batches, failed };
}

describe('a lane in front of the database', () => {
  it('commits what comes in one turn together, what comes meanwhile next, all in order', async () => {
    const { lane, batches } = laneWith();
    const first = [lane.take('a', false), lane.take('b', false)];
    await first[0];
    await Promise.all([lane.take('c', false), lane.take('d', false), first[1]]);
    expect(batches).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('commits on its own what may spoil a batch', async () => {
    const { lane, batches } = laneWith();
    await Promise.all([lane.take('a', false), lane.take('odd', true), lane.take('b', false)]);
    expect(batches).toEqual([['a'], ['odd'], ['b']]);
  });

  it('takes small batches, and large ones when much waits', async () => {
    const { lane, batches } = laneWith();
    await Promise.all(Array.from({ length: 5000 }, (_, index) => lane.take(String(index), false)));
    expect(batches.flat()).toEqual(Array.from({ length: 5000 }, (_, index) => String(index)));
    const sizes = batches.map(({ length }) => length);
    // As long as 4096 or more wait.
    expect(sizes.slice(0, 8)).toEqual(Array(8).fill(128));
    expect(sizes.slice(8, -1)).toEqual(Array(sizes.length - 9).fill(64));
  });

  it('lets one bad entry fail, and nobody else', async () => {
    const { lane, batches, failed } = laneWith((batch) => (batch.includes('bad') ? new Error('no such value') : null));
    await Promise.all(['a', 'bad', 'b'].map((entry) => lane.take(entry, false)));
    expect(batches).toEqual([['a'], ['b']]);
    expect(failed).toEqual(['bad: no such value']);
  });

  it('waits for a database that is away and then goes on in order; gives back what waits when it is stopped', async () => {
    let away = true;
    let asked = 0;
    const { lane, batches, failed } = laneWith(() => {
      asked += 1;
      return away ? new DatabaseError('connection refused', '57P03', { unavailable: true }) : null;
    });
    const early = lane.take('a', false);
    const late = lane.take('b', false);
    while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
    const later = lane.take('c', false);
    away = false;
    await Promise.all([early, late, later]);
    expect([batches.flat(), failed]).toEqual([['a', 'b', 'c'], []]);

    away = true;
    const lost = lane.take('d', false).then(
      () => 'committed',
      (error: Error) => error.message,
    );
    asked = 0;
    while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
    lane.stop();
    expect(await lost).toBe('connection refused');
    await lane.idle();
  });
});
