import { DatabaseError } from '../../database-error.js';

/**
 * The database cannot work now (PostgreSQL 15, appendix A): 08 connection, 53 resources, 57P0 shut down or starting, 57014
 * cut by the statement timeout, 55P03 a lock that somebody keeps, 25006 a standby that takes no writes (a failover under way).
 */
const UNAVAILABLE = /^(08...|53...|57P0.|57014|55P03|25006)$/;
/** Rolled back because of what others did at the same time: the same transaction may run again. */
const CONTENTION = /^(40001|40P01)$/;
const SQL_STATE = /^[0-9A-Z]{5}$/;

export interface Failure {
  error: DatabaseError;
  /** Rolled back for certain, only because others were at it at the same time. */
  contention: boolean;
  /** The connection is of no more use. */
  lost: boolean;
}

/** What an error of node-postgres means. */
export function failureOf(cause: unknown): Failure {
  const { code, message } = cause as { code?: unknown; message: string };
  const sqlState = typeof code === 'string' && SQL_STATE.test(code) ? code : null;
  // Without a code of PostgreSQL it came from the socket, the pool or a time limit: the server never judged the statement.
  const ours = cause instanceof TypeError || cause instanceof RangeError;
  const lost = sqlState === null ? !ours : /^(08|57P0)/.test(sqlState);
  const unavailable = lost || (sqlState !== null && UNAVAILABLE.test(sqlState));
  const error = new DatabaseError(unavailable ? `the database is not available: ${message}` : message, sqlState, {
    unavailable,
    cause,
  });
  return { error, contention: sqlState !== null && CONTENTION.test(sqlState), lost };
}
