import { Type } from '@sinclair/typebox';
import { describe, expect, it } from 'vitest';
import { Paging } from './paging.js';
import { Problem } from './problem.js';

const Key = Type.Tuple([Type.String({ maxLength: 30 }), Type.Integer({ minimum: 0 })]);
const paging = new Paging('things', Key);
const rows = Array.from({ length: 7 }, (_, id) => ({ id, at: `t${id >> 1}` }));
const keyOf = (row: { id: number; at: string }): [string, number] => [row.at, row.id];

/** As a repository answers. */
const select = (after: [string, number] | null, limit: number) =>
  rows.filter(({ id }) => after === null || id > after[1]).slice(0, limit);

describe('paging', () => {
  it('walks through a list without repeating or losing a row', () => {
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const asked = paging.read({ limit: 3, cursor });
      const page = paging.page(select(asked.after, asked.limit + 1), asked, keyOf, (row) => row.id);
      seen.push(...page.items);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('ends when the last page is exactly full', () => {
    const asked = paging.read({ limit: 7 });
    expect(paging.page(select(null, 8), asked, keyOf).next).toBeNull();
  });

  it('refuses cursors of other lists, other shapes and garbage', () => {
    const other = new Paging('others', Key).cursor(['t', 1]);
    const shape = Buffer.from(JSON.stringify(['things', ['t', "1' or 1=1"]])).toString('base64url');
    for (const cursor of [other, shape, 'AAAA', 'x', Buffer.from('null').toString('base64url')]) {
      expect(() => paging.read({ cursor }), cursor).toThrow(Problem);
    }
    expect(paging.read({ cursor: paging.cursor(['t', 1]) }).after).toEqual(['t', 1]);
  });
});
