/** A pair (row, column) is forbidden by a cost at or above this. */
export const FORBIDDEN = 1e6;

/**
 * Least-cost assignment of rows to columns: the Hungarian method with potentials, O(rows² · columns).
 * Ported from the well-known formulation at cp-algorithms.com/graph/hungarian-algorithm.html.
 *
 * @param cost `[rows][columns]`, finite; entries ≥ `FORBIDDEN` are never returned as a pair.
 * @returns for each row its column, or -1.
 */
export function assign(cost: readonly (readonly number[])[]): number[] {
  const rows = cost.length;
  const columns = rows === 0 ? 0 : cost[0].length;
  if (rows === 0 || columns === 0) return new Array<number>(rows).fill(-1);
  if (rows > columns) return assignTransposed(cost, rows, columns);

  const rowPotential = new Float64Array(rows + 1);
  const columnPotential = new Float64Array(columns + 1);
  const rowOfColumn = new Int32Array(columns + 1);
  const previous = new Int32Array(columns + 1);
  const slack = new Float64Array(columns + 1);
  const visited = new Uint8Array(columns + 1);

  for (let row = 1; row <= rows; row++) {
    rowOfColumn[0] = row;
    let column = 0;
    slack.fill(Number.POSITIVE_INFINITY);
    visited.fill(0);
    do {
      visited[column] = 1;
      const current = rowOfColumn[column];
      let delta = Number.POSITIVE_INFINITY;
      let next = 0;
      for (let candidate = 1; candidate <= columns; candidate++) {
        if (visited[candidate] === 1) continue;
        const reduced = cost[current - 1][candidate - 1] - rowPotential[current] - columnPotential[candidate];
        if (reduced < slack[candidate]) {
          slack[candidate] = reduced;
          previous[candidate] = column;
        }
        if (slack[candidate] < delta) {
          delta = slack[candidate];
          next = candidate;
        }
      }
      for (let index = 0; index <= columns; index++) {
        if (visited[index] === 1) {
          rowPotential[rowOfColumn[index]] += delta;
          columnPotential[index] -= delta;
        } else {
          slack[index] -= delta;
        }
      }
      column = next;
    } while (rowOfColumn[column] !== 0);
    do {
      const from = previous[column];
      rowOfColumn[column] = rowOfColumn[from];
      column = from;
    } while (column !== 0);
  }

  const result = new Array<number>(rows).fill(-1);
  for (let column = 1; column <= columns; column++) {
    const row = rowOfColumn[column];
    if (row > 0 && cost[row - 1][column - 1] < FORBIDDEN) result[row - 1] = column - 1;
  }
  return result;
}

function assignTransposed(cost: readonly (readonly number[])[], rows: number, columns: number): number[] {
  const transposed: number[][] = [];
  for (let column = 0; column < columns; column++) transposed.push(cost.map((row) => row[column]));
  const result = new Array<number>(rows).fill(-1);
  assign(transposed).forEach((row, column) => {
    if (row >= 0) result[row] = column;
  });
  return result;
}
