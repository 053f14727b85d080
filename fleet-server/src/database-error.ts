/**
 * A failed statement. `sqlState` is PostgreSQL's code, e.g. `23505` for a duplicate key. `DATABASE_UNAVAILABLE`: it failed
 * because the database cannot be reached or cannot work now, not because of what was asked; the same may succeed later.
 */
export class DatabaseError extends Error {
  readonly code: 'DATABASE_FAILED' | 'DATABASE_UNAVAILABLE';
  constructor(
    message: string,
    readonly sqlState: string | null,
    options: { unavailable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.unavailable === true ? 'DATABASE_UNAVAILABLE' : 'DATABASE_FAILED';
  }
}

/** The DatabaseError in an error or among its causes (Drizzle wraps what a query throws); null: the database did not fail. */
export function databaseErrorIn(error: unknown): DatabaseError | null {
  for (let one = error, depth = 0; one instanceof Error && depth < 8; one = one.cause, depth += 1)
    if (one instanceof DatabaseError) return one;
  return null;
}

/** May the same succeed later, without a change? */
export function isDatabaseUnavailable(error: unknown): boolean {
  return databaseErrorIn(error)?.code === 'DATABASE_UNAVAILABLE';
}
