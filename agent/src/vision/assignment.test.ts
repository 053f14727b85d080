import { describe, expect, it } from 'vitest';
import { assign, FORBIDDEN } from './assignment.js';

/** Least total cost over all complete assignments, by trying them all. */
function cheapest(cost: number[][]): number {
  const rows = cost.length <= cost[0].length ? cost : cost[0].map((_, column) => cost.map((row) => row[column]));
  const search = (row: number, used: number): number => {
    if (row === rows.length) return 0;
    let best = Number.POSITIVE_INFINITY;
    for (let column = 0; column < rows[0].length; column++) {
      if ((used & (1 << column)) === 0)
        best = Math.min(best, rows[row][column] + search(row + 1, used | (1 << column)));
    }
    return best;
  };
  return search(0, 0);
}

describe('assign', () => {
  it('finds the least total cost where taking the best pair first would not', () => {
    expect(
      assign([
        [1, 2],
        [2, 100],
      ]),
    ).toEqual([1, 0]);
  });

  it('equals exhaustive search on random matrices of every shape up to 5 × 6', () => {
    let state = 7;
    const random = () => {
      state = (state * 1664525 + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    for (let run = 0; run < 300; run++) {
      const rows = 1 + Math.floor(random() * 5);
      const columns = 1 + Math.floor(random() * 6);
      const cost = Array.from({ length: rows }, () => Array.from({ length: columns }, () => random() * 10 - 3));
      const result = assign(cost);
      const pairs = result.filter((column) => column >= 0);
      expect(pairs.length).toBe(Math.min(rows, columns));
      expect(new Set(pairs).size).toBe(pairs.length);
      const total = result.reduce((sum, column, row) => sum + (column >= 0 ? cost[row][column] : 0), 0);
      expect(total).toBeCloseTo(cheapest(cost), 9);
    }
  });

  it('never returns a forbidden pair, and copes with nothing to assign', () => {
    expect(
      assign([
        [FORBIDDEN, FORBIDDEN],
        [FORBIDDEN, 1],
      ]),
    ).toEqual([-1, 1]);
    expect(assign([])).toEqual([]);
    expect(assign([[], []])).toEqual([-1, -1]);
  });
});
