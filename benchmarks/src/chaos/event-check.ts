import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inRepository } from '../rig/repository.js';

/** One event message as the server's database holds it. */
export interface StoredEvent {
  board: string;
  key: string;
  body: string;
}

interface Engine {
  PGlite: { create(options: { dataDir: string }): Promise<Database> };
}
interface Database {
  query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
  close(): Promise<void>;
}

/**
 * All events in the database of a stopped server, by its engine and not by its code. Retention must not have dropped any: the
 * server keeps 10,000 a device.
 */
export async function readStoredEvents(databaseDirectory: string): Promise<StoredEvent[]> {
  const engine = createRequire(inRepository('fleet-server/package.json')).resolve('@electric-sql/pglite');
  const { PGlite } = (await import(pathToFileURL(engine).href)) as Engine;
  const database = await PGlite.create({ dataDir: databaseDirectory });
  try {
    const { rows } = await database.query(
      "select device_id, boot_id, sequence, body->>'id' as id, body->>'type' as type, body->>'at' as at from events",
    );
    return rows.map(({ device_id, boot_id, sequence, id, type, at }) => ({
      board: String(device_id),
      key: `${device_id}/${boot_id}:${sequence}`,
      body: `${id} ${type} ${at}`,
    }));
  } finally {
    await database.close();
  }
}

export interface EventVerdict {
  stored: number;
  journaled: number;
  acknowledged: number;
  /** Keys that must be in the database and are not. */
  journaledLost: string[];
  acknowledgedLost: string[];
  /** The same message under two keys, or one key with two contents. */
  twice: string[];
}

/**
 * Every event that a board journaled and every one that the server acknowledged is stored, once, as it was.
 * Maps: `board/bootId:sequence` → content; `published` tells which acknowledgements were of events.
 */
export function judgeEvents(
  stored: readonly StoredEvent[],
  ledgers: Record<'journaled' | 'acknowledged' | 'published', ReadonlyMap<string, string>>,
): EventVerdict {
  const byKey = new Map<string, string>();
  const byContent = new Map<string, string>();
  const twice: string[] = [];
  for (const { board, key, body } of stored) {
    const content = `${board} ${body}`;
    if (byKey.has(key) || byContent.has(content)) twice.push(`${key}: ${body}`);
    byKey.set(key, body);
    byContent.set(content, key);
  }
  const { journaled, acknowledged, published } = ledgers;
  for (const [key, body] of journaled) {
    const found = byKey.get(key);
    if (found !== undefined && found !== body) twice.push(`${key}: journaled as ${body}, stored as ${found}`);
  }
  const missing = (keys: Iterable<string>): string[] => [...keys].filter((key) => !byKey.has(key));
  const acknowledgedEvents = [...acknowledged.keys()].filter((key) => journaled.has(key) || published.has(key));
  return {
    stored: stored.length,
    journaled: journaled.size,
    acknowledged: acknowledgedEvents.length,
    journaledLost: missing(journaled.keys()),
    acknowledgedLost: missing(acknowledgedEvents),
    twice,
  };
}
