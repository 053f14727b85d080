import type { MarkedStatement, Statement } from './database.js';

/** What travels between the server's thread and the database's. */
export type DatabaseRequest = { id: number; rank: Rank } & (
  | { operation: 'query'; statement: Statement }
  | { operation: 'transaction'; statements: Statement[] }
  | { operation: 'perform'; statements: readonly MarkedStatement[]; last: Statement }
  | { operation: 'close' }
);

/** What waits: a question or a login, a message of a board or a step of a rollout, work that nobody waits for, the end. */
export type Rank = 'foreground' | 'fleet' | 'background' | 'last';

type WithoutId<T> = T extends unknown ? Omit<T, 'id' | 'rank'> : never;
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
