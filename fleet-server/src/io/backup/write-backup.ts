import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Database } from '../database/database.js';
import { snapshotTables, tablePages, tableShapes } from '../database/table-dump.js';
import { BULK, FILES, FOLDERS, FORMAT, HISTORIES, LEFT_OUT, MANIFEST, type Manifest } from './backup-format.js';
import { TAR_END, tarHeader, tarPadding } from './tar-stream.js';

/** Lines of one file of the dump, bytes. */
const PART_BYTES = 4 * 1024 * 1024;

export interface BackupSource {
  database: Database;
  /** The data folder. */
  directory: string;
  /** Runs while nothing changes the trust (its files must be of one moment). */
  still<T>(work: () => Promise<T>): Promise<T>;
  migrations: string[];
  server: string;
  now: Date;
  /** Raw telemetry, too. */
  telemetry: boolean;
  onProgress?: (line: string) => void;
}

/** The backup as a stream of bytes: a gzipped tar, the manifest last. */
export function backupStream(source: BackupSource): Readable {
  const tar = Readable.from(new BackupWriter(source).bytes(), { objectMode: false });
  const gzip = createGzip({ level: 3 });
  tar.once('error', (error) => gzip.destroy(error));
  gzip.once('close', () => tar.destroy());
  return tar.pipe(gzip);
}

class BackupWriter {
  readonly #files: Manifest['files'] = [];
  readonly #tables: Manifest['tables'] = [];

  constructor(private readonly source: BackupSource) {}

  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    const { source } = this;
    yield* this.#database();
    // Small, and signed files that name each other: read while nothing writes them.
    const trust = await source.still(async () => {
      const found: { name: string; bytes: Buffer }[] = [];
      for (const folder of ['tuf', 'keys', 'pki'] as const) {
        for (const name of await filesOf(join(source.directory, folder)))
          found.push({ name: `${folder}/${name}`, bytes: await readFile(join(source.directory, folder, name)) });
      }
      return found;
    });
    for (const { name, bytes } of trust) yield* this.#file(name, bytes);
    for (const name of FILES) {
      const bytes = await readFile(join(source.directory, name)).catch(missing);
      if (bytes !== null) yield* this.#file(name, bytes);
    }
    for (const folder of FOLDERS.filter((one) => one === 'blobs' || one === 'snapshots')) {
      const names = await filesOf(join(source.directory, folder));
      source.onProgress?.(`${folder}: ${names.length} objects`);
      for (const name of names) if (!name.startsWith('incoming/')) yield* this.#object(`${folder}/${name}`);
    }
    const manifest: Manifest = {
      ...{ format: FORMAT, createdAt: source.now.toISOString(), server: source.server },
      ...{ migrations: source.migrations, tables: this.#tables, files: this.#files },
    };
    const text = Buffer.from(JSON.stringify(manifest));
    yield tarHeader(MANIFEST, text.length, source.now);
    yield text;
    yield tarPadding(text.length);
    yield TAR_END;
  }

  async *#database(): AsyncGenerator<Buffer, void, undefined> {
    const { database, telemetry, onProgress } = this.source;
    const shapes = (await tableShapes(database)).filter(
      ({ name }) => !LEFT_OUT.includes(name) && (telemetry || !BULK.includes(name)),
    );
    const state = shapes.filter(({ name }) => !HISTORIES.includes(name));
    for (const { name, rows } of await snapshotTables(database, state)) {
      onProgress?.(`${name}: ${rows.length} rows`);
      yield* this.#table(name, [rows]);
    }
    for (const shape of shapes.filter(({ name }) => HISTORIES.includes(name))) {
      yield* this.#table(shape.name, tablePages(database, shape));
      onProgress?.(`${shape.name}: ${this.#tables[this.#tables.length - 1].rows} rows`);
    }
  }

  async *#table(name: string, pages: AsyncIterable<string[]> | Iterable<string[]>): AsyncGenerator<Buffer> {
    let lines: string[] = [];
    let bytes = 0;
    let part = 0;
    let rows = 0;
    const path = () => `database/${name}/${String(part).padStart(6, '0')}.jsonl`;
    for await (const page of pages) {
      for (const line of page) {
        lines.push(line);
        bytes += line.length + 1;
        rows += 1;
        if (bytes < PART_BYTES) continue;
        yield* this.#file(path(), Buffer.from(`${lines.join('\n')}\n`));
        [lines, bytes, part] = [[], 0, part + 1];
      }
    }
    if (lines.length > 0) yield* this.#file(path(), Buffer.from(`${lines.join('\n')}\n`));
    this.#tables.push({ name, rows });
  }

  *#file(name: string, bytes: Buffer): Generator<Buffer> {
    this.#files.push({ name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
    yield tarHeader(name, bytes.length, this.source.now);
    yield bytes;
    yield tarPadding(bytes.length);
  }

  /** An object of a store: written once and never changed, but perhaps collected meanwhile. */
  async *#object(name: string): AsyncGenerator<Buffer> {
    const path = join(this.source.directory, name);
    const found = await stat(path).catch(missing);
    if (found === null) return;
    const stream = createReadStream(path);
    const opened = await new Promise<boolean>((resolve, reject) => {
      stream.once('open', () => resolve(true));
      stream.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ENOENT' ? resolve(false) : reject(error),
      );
    });
    if (!opened) return;
    const hash = createHash('sha256');
    yield tarHeader(name, found.size, this.source.now);
    let bytes = 0;
    for await (const part of stream as AsyncIterable<Buffer>) {
      bytes += part.length;
      hash.update(part);
      yield part;
    }
    if (bytes !== found.size) throw new Error(`${path}: changed while it was read`);
    yield tarPadding(bytes);
    this.#files.push({ name, bytes, sha256: hash.digest('hex') });
  }
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** Paths below a folder, sorted; none when it is not there. Temporary files are left out. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(missing);
  if (entries === null) return [];
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
