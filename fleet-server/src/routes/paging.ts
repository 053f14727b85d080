import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Problem } from './problem.js';

/** Longest cursor, characters. */
const MAX_CURSOR = 600;

/** Query parameters of a list that comes in pages; spread them into its own query schema. `most`: rows of one page. */
export function pageParameters(most = 1000, usual = 100) {
  return {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: most, default: usual, description: 'rows of one page at the most' }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_CURSOR,
        pattern: '^[A-Za-z0-9_-]+$',
        description: '`next` of the page before',
      }),
    ),
  };
}

/** Schema of a page of `item`. */
export function pageOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    items: Type.Array(item),
    next: Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page; null: this is the last' }),
  });
}

export interface Page<Item> {
  items: Item[];
  next: string | null;
}

/** What a reader asks for: so many rows behind the one with this key; null: from the beginning. */
export interface PageRequest<Key> {
  limit: number;
  after: Key | null;
}

/**
 * Pages of one list by the key of the last row seen (keyset paging): rows that come or go meanwhile neither repeat others nor hide
 * them. The key must be unique and in the order of the list (end it with the id). A cursor is the key in base64url, checked
 * against `key` and bound to `list` (name and order, such as `devices` or `devices:last-seen`). It grants nothing: it needs no
 * signature, and every replica understands it.
 *
 * ```ts
 * const PAGING = new Paging('audit', Type.Integer({ minimum: 0 }));
 * app.get('/audit', { schema: { querystring: Type.Object({ ...pageParameters() }, Strict) } }, async ({ query }) => {
 *   const asked = PAGING.read(query);
 *   const rows = await repository.list(asked.after, asked.limit + 1); // one more than asked: is there a next page?
 *   return PAGING.page(rows, asked, (row) => row.seq, view);
 * });
 * ```
 */
export class Paging<Key extends TSchema> {
  readonly #check;

  constructor(
    private readonly list: string,
    key: Key,
    /** Rows of a page when nobody says how many. */
    private readonly usual = 100,
  ) {
    this.#check = TypeCompiler.Compile(Type.Tuple([Type.Literal(list), key]));
  }

  /** Throws Problem CURSOR_INVALID. */
  read(query: { limit?: number; cursor?: string }): PageRequest<Static<Key>> {
    const limit = query.limit ?? this.usual;
    if (query.cursor === undefined) return { limit, after: null };
    let decoded: unknown;
    try {
      decoded = JSON.parse(Buffer.from(query.cursor, 'base64url').toString('utf8'));
    } catch {
      decoded = null;
    }
    if (!this.#check.Check(decoded)) {
      throw new Problem('CURSOR_INVALID', `cursor: is none of this list; take "next" of its page, or leave it out`);
    }
    return { limit, after: (decoded as [string, Static<Key>])[1] };
  }

  /** `rows`: in order, up to one more than `limit`, which tells that there is a next page. */
  page<Row, Item = Row>(
    rows: readonly Row[],
    { limit }: { limit: number },
    keyOf: (row: Row) => Static<Key>,
    view: (row: Row) => Item = (row) => row as unknown as Item,
  ): Page<Item> {
    const shown = rows.slice(0, limit);
    const next = rows.length > limit ? this.cursor(keyOf(shown[shown.length - 1])) : null;
    return { items: shown.map(view), next };
  }

  cursor(key: Static<Key>): string {
    return Buffer.from(JSON.stringify([this.list, key])).toString('base64url');
  }
}
