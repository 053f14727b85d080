import { describe, expect, it } from 'vitest';
import { descendants, type ProcessStat, parseProcessStat, treeTicks } from './proc-stat.js';

const line =
  '4242 (a (odd) name) S 17 4242 4242 0 -1 4194560 900 800 0 0 120 30 7 5 20 0 11 0 98765 1000000 2500 18446744073709551615 1 1 0';

function stat(pid: number, parent: number, ownTicks = 0, reapedTicks = 0): ProcessStat {
  return { pid, parent, group: 1, ended: false, ownTicks, reapedTicks, startTicks: 0, residentPages: 0 };
}

describe('parseProcessStat', () => {
  it('reads the fields behind a command name with parentheses and blanks', () => {
    expect(parseProcessStat(line)).toEqual({
      pid: 4242,
      parent: 17,
      group: 4242,
      ended: false,
      ownTicks: 150,
      reapedTicks: 12,
      startTicks: 98765,
      residentPages: 2500,
    });
  });

  it('knows a process that has ended', () => {
    expect(parseProcessStat(line.replace(') S ', ') Z ')).ended).toBe(true);
  });

  it('refuses what is not such a line', () => {
    expect(() => parseProcessStat('cpu 1 2 3')).toThrow(RangeError);
  });
});

describe('process tree', () => {
  const all = [stat(9, 5, 4), stat(1, 0, 1000), stat(5, 1, 10, 3), stat(7, 5, 2), stat(8, 7, 1, 1), stat(6, 1, 99)];

  it('finds descendants in any order of listing and leaves out the others', () => {
    expect(descendants(all, 5).map((process) => process.pid)).toEqual([5, 9, 7, 8]);
    expect(descendants(all, 12345)).toEqual([]);
  });

  it('adds own and reaped time', () => {
    expect(treeTicks(descendants(all, 5))).toBe(13 + 4 + 2 + 2);
  });
});
