import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { SERVER_CLI } from '../rig/repository.js';
import { type SeededRelease, type SeedSize, seedStatements } from './seed-statements.js';

/** The little of PGlite that this needs. */
interface Engine {
  exec(sql: string): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Fills the database of a server that does not run with a fleet and its history. Opened with the very engine that the server
 * has; what each table holds is what the server itself would have written.
 */
export async function seedDatabase(
  directory: string,
  release: SeededRelease,
  size: SeedSize,
  onProgress: (line: string) => void,
): Promise<void> {
  const path = createRequire(SERVER_CLI).resolve('@electric-sql/pglite');
  const { PGlite } = (await import(pathToFileURL(path).href)) as {
    PGlite: { create(options: { dataDir: string }): Promise<Engine> };
  };
  const database = await PGlite.create({ dataDir: directory });
  try {
    for (const [what, sql] of seedStatements(release, size)) {
      const began = performance.now();
      await database.exec(sql);
      onProgress(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    }
  } finally {
    await database.close();
  }
}
