import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FairTurns } from './fair-turns.js';

describe('FairTurns', () => {
  it('lets so much through in one turn of the event loop, in order, and the rest in later ones', async () => {
    const turns = new FairTurns(100);
    const gone: number[] = [];
    const all = [60, 60, 60, 250, 10].map((cost, index) => turns.take(cost).then(() => gone.push(index)));
    expect(gone).toEqual([]);
    const seen: number[][] = [];
    while (gone.length < 5) {
      await turn();
      if (seen.at(-1)?.length !== gone.length) seen.push([...gone]);
    }
    await Promise.all(all);
    expect(seen).toEqual([
      [0, 1],
      [0, 1, 2, 3],
      [0, 1, 2, 3, 4],
    ]);
  });

  it('goes on for those that ask later', async () => {
    const turns = new FairTurns(10);
    await turns.take(100);
    await turns.take(1);
    await Promise.all([turns.take(10), turns.take(10)]);
  });
});
