import { expect, it } from 'vitest';
import { judgeEvents } from './event-check.js';

const stored = [
  { board: 'b1', key: 'b1/x:1', body: 'e1 start t1' },
  { board: 'b1', key: 'b1/x:2', body: 'e1 end t2' },
];
const ledgers = {
  journaled: new Map([['b1/x:1', 'e1 start t1']]),
  // The board's report 3 was acknowledged too; it is no event.
  acknowledged: new Map([
    ['b1/x:1', ''],
    ['b1/x:2', ''],
    ['b1/x:3', ''],
  ]),
  published: new Map([['b1/x:2', 'e1 end t2']]),
};

it('holds when every journaled and every acknowledged event is stored once', () => {
  expect(judgeEvents(stored, ledgers)).toEqual({
    ...{ stored: 2, journaled: 1, acknowledged: 2 },
    ...{ journaledLost: [], acknowledgedLost: [], twice: [] },
  });
});

it('names what was acknowledged or journaled and is not stored', () => {
  const verdict = judgeEvents([], ledgers);
  expect(verdict.journaledLost).toEqual(['b1/x:1']);
  expect(verdict.acknowledgedLost).toEqual(['b1/x:1', 'b1/x:2']);
});

it('names an event that arrived under two keys, and one that arrived as another', () => {
  const again = { board: 'b1', key: 'b1/y:1', body: 'e1 start t1' };
  expect(judgeEvents([...stored, again], ledgers).twice).toHaveLength(1);
  const other = [{ ...stored[0], body: 'e9 start t1' }, stored[1]];
  expect(judgeEvents(other, ledgers).twice).toHaveLength(1);
});
