import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/**
 * What lies on a board's disk, read by other code than the agent's own: a checker that shared its code would share its faults.
 */
export interface BoardDisk {
  /** Digest of the slot to start from; null: the bundled package. */
  active: string | null;
  previous: string | null;
  /** Phase of the newest install, `IDLE` when there is none. */
  phase: string;
  generation: number;
}

/** Reads `state.json`. Undefined when there is none yet; throws when it is no JSON: that must never be. */
export function readBoardDisk(dataDirectory: string): BoardDisk | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDirectory, 'state.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const state = JSON.parse(text) as {
    active: { digest: string } | null;
    previous: { digest: string } | null;
    journal: { phase: string; generation: number } | null;
  };
  return {
    active: state.active?.digest ?? null,
    previous: state.previous?.digest ?? null,
    phase: state.journal?.phase ?? 'IDLE',
    generation: state.journal?.generation ?? 0,
  };
}

/** Digest of an unpacked package (docs/package-format.md): SHA-256 over `path\tsize\tsha256\n` of its files in byte order. */
export function digestOfFolder(directory: string): string {
  const paths = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'));
  const whole = createHash('sha256');
  for (const path of paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const bytes = readFileSync(join(directory, path));
    whole.update(`${path}\t${bytes.length}\t${createHash('sha256').update(bytes).digest('hex')}\n`);
  }
  return whole.digest('hex');
}

/** Null when the slot holds what its name says, else what it holds instead. */
export function corruptionOf(dataDirectory: string, digest: string): string | null {
  try {
    const found = digestOfFolder(join(dataDirectory, 'slots', digest));
    return found === digest ? null : `its files make ${found}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Keys `bootId:sequence` of the event messages in a board's outbox journal, each with its body. */
export function readJournaledEvents(dataDirectory: string): Map<string, string> {
  const directory = join(dataDirectory, 'outbox');
  const found = new Map<string, string>();
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return found;
  }
  for (const name of names.filter((candidate) => candidate.endsWith('.jsonl')).sort()) {
    let text: string;
    try {
      text = readFileSync(join(directory, name), 'utf8');
    } catch {
      // A living agent removed the segment since: all that was in it was acknowledged.
      continue;
    }
    const lines = text.split('\n');
    // What follows the last line feed was cut off while it was written: it never counted as journaled.
    for (const line of lines.slice(0, -1)) {
      const entry = parse(line);
      if (entry?.kind !== 'events' || entry.message === undefined) continue;
      const { bootId, sequence, id, type, at } = entry.message;
      found.set(`${bootId}:${sequence}`, `${id} ${type} ${at}`);
    }
  }
  return found;
}

interface OutboxLine {
  kind?: string;
  message?: { bootId: string; sequence: number; id: string; type: string; at: string };
}

function parse(line: string): OutboxLine | undefined {
  try {
    return JSON.parse(line) as OutboxLine;
  } catch {
    return undefined;
  }
}
