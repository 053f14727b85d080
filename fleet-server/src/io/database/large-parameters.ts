import { type SerializerOptions, types } from '@electric-sql/pglite';

/** From here on a text goes as bytes, characters. */
const LARGE = 512;
/** First byte of a jsonb value in PostgreSQL's binary format: its version. */
const JSONB_VERSION = Buffer.from([1]);

/**
 * How PGlite sends large texts: as bytes, in PostgreSQL's binary format. It counts the bytes of a string character by character
 * before it encodes it; for the documents of a commit that takes longer than what the database does with them.
 */
export const LARGE_PARAMETERS = {
  [types.TEXT]: large(types.TEXT),
  [types.JSON]: large(types.JSON),
  [types.JSONB]: large(types.JSONB, JSONB_VERSION),
} as SerializerOptions;

function large(type: number, prefix = Buffer.alloc(0)) {
  // PGlite passes bytes on as they are, though its types do not say so.
  return (value: unknown): string | Buffer =>
    typeof value === 'string' && value.length >= LARGE
      ? Buffer.concat([prefix, Buffer.from(value)])
      : types.serializers[type](value);
}
