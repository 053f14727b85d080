import type { MarkedStatement, Statement } from './database.js';

/** What travels between the server's thread and the database's. */
export type DatabaseRequest =
  | { id: number; operation: 'query'; statement: Statement }
  | { id: number; operation: 'transaction'; statements: Statement[] }
  | { id: number; operation: 'perform'; statements: readonly MarkedStatement[]; last: Statement }
  | { id: number; operation: 'close' };

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type UnsentRequest = WithoutId<DatabaseRequest>;

/** Statements that took longer than the limit: `ms` on the thread itself, without the wait for the ones before. */
export interface SlowStatement {
  sql: string;
  ms: number;
}

export type DatabaseReply =
  | { id: null; slow: SlowStatement }
  | { id: number; ok: true; result: unknown }
  | { id: number; ok: false; message: string; sqlState: string | null };
