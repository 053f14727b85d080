import { AsyncLocalStorage } from 'node:async_hooks';
import type { AuditEntry } from './audit-entry.js';

/**
 * What a request is about to do, on its way from the route to the statement that does it: the first transaction that changes
 * something takes the request's row of the audit log along (AuditedDatabase).
 */
export interface Deed {
  /** The row, as it stands in the log if the change takes place. */
  entry(): AuditEntry;
  note: {
    /** The row is in the log, or somebody else sees to it. */
    written?: boolean;
    /** A transaction that has not ended yet has it with it. */
    riding?: boolean;
    /** Number of the row that went with the change. */
    row?: number;
  };
}

const deeds = new AsyncLocalStorage<Deed | null>();
/** Requests whose handlers run. */
let running = 0;

/** Runs what a request does: its first change is `deed`. */
export function doing<T>(deed: Deed, work: () => T): T {
  running += 1;
  let result: T;
  try {
    result = deeds.run(deed, work);
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end) as T;
  end();
  return result;
}

/**
 * Until Node 24 a store that is in use makes every promise and callback of the process dearer, by a tenth of the work of a
 * broker with ten thousand boards: it is in use only while somebody changes something.
 */
function end(): void {
  running -= 1;
  if (running === 0) deeds.disable();
}

/** Runs what a request only sets off (a duty) or notes by the way: what that changes is no deed of the request. */
export async function byTheWay<T>(work: () => PromiseLike<T>): Promise<T> {
  if ((deeds.getStore() ?? null) === null) return await work();
  // Awaited inside: a Drizzle query runs where somebody waits for it.
  return deeds.run(null, async () => await work());
}

/** The deed whose row is still to be written; null: nobody's, or it has been. */
export function openDeed(): Deed | null {
  const deed = deeds.getStore() ?? null;
  return deed === null || deed.note.written === true || deed.note.riding === true ? null : deed;
}
