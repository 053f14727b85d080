import { describe, expect, it } from 'vitest';
import type { Rank } from './pglite-messages.js';
import { StatementLine } from './statement-line.js';

function lineOf(...ranks: Rank[]) {
  const line = new StatementLine<{ rank: Rank; place: number }>();
  for (const [place, rank] of ranks.entries()) line.add({ rank, place });
  const taken: number[] = [];
  for (let next = line.take(); next !== undefined; next = line.take()) taken.push(next.place);
  return taken;
}
const many = (rank: Rank, count: number) => Array.from({ length: count }, () => rank);

describe('StatementLine', () => {
  it('takes the foreground first, each rank in its order, and the end last', () => {
    expect(lineOf('last', 'background', 'background', 'foreground', 'foreground')).toEqual([3, 4, 1, 2, 0]);
    expect(lineOf()).toEqual([]);
  });

  it('lets one of the background through after eight of the foreground', () => {
    const taken = lineOf(...many('background', 3), ...many('foreground', 20));
    expect(taken.indexOf(0)).toBe(8);
    expect(taken.indexOf(1)).toBe(17);
    expect(taken.at(-1)).toBe(2);
    expect(taken.filter((place) => place >= 3)).toEqual(Array.from({ length: 20 }, (_, index) => index + 3));
  });
});
