import pg from 'pg';

const { builtins } = pg.types;
type Parser = (text: string) => unknown;

const asWritten: Parser = (text) => text;
const parserOf = (type: number) => pg.types.getTypeParser(type, 'text') as Parser;
const ARRAY_OF_TEXT = parserOf(1009);
const wholeNumber = (text: string): number | bigint => {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
};

/** Types (by their numbers in PostgreSQL) that node-postgres reads otherwise than PGlite does. */
const PARSERS: Record<number, Parser> = {
  [builtins.INT8]: wholeNumber,
  [builtins.TIMESTAMP]: asWritten,
  [builtins.TIMESTAMPTZ]: asWritten,
  [builtins.DATE]: asWritten,
  [builtins.INTERVAL]: asWritten,
  600: asWritten,
  718: asWritten,
  /** bigint[] */
  1016: (text) => (ARRAY_OF_TEXT(text) as (string | null)[]).map((one) => (one === null ? null : wholeNumber(one))),
  /** numeric[] */
  1231: ARRAY_OF_TEXT,
};

/** Reads values as PGlite does, so that repositories see the same whichever engine answers. */
export const SAME_AS_PGLITE = {
  getTypeParser: ((type: number, format?: 'text' | 'binary') =>
    PARSERS[type] ?? pg.types.getTypeParser(type, format as 'text')) as typeof pg.types.getTypeParser,
};

/** A parameter as it is sent: node-postgres would write times in the time zone of this process. */
export function parameter(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : value;
}
