import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstallErrorCode } from '@vigie/protocol';
import { expect } from 'vitest';
import { HttpsMetadataSource } from '../../src/io/https-metadata.js';
import { fetchTarget } from '../../src/io/signed-target.js';
import { TufTrust } from '../../src/io/tuf-trust.js';
import { InstallError } from '../../src/update/install-error.js';
import { silent } from '../board-fixture.js';
import { type MetadataServer, plainGet } from '../metadata-server.js';
import { TufSimulator } from '../tuf-simulator.js';

export type Outcome = InstallErrorCode | 'ok';
export type TopRole = 'root' | 'timestamp' | 'snapshot' | 'targets';

/** One act of a client: what the repository does before it, what is asked of it, and what must come of it. */
export interface Step {
  before?(repository: TufSimulator): void;
  /** Days by which the client's clock is later than now. */
  days?: number;
  /** Path of a target to fetch and check; absent: only a refresh. */
  get?: string;
  expected: Outcome;
  /** Versions on the client's disk afterwards; null: no such file. */
  trusted?: Partial<Record<string, number | null>>;
  /** Metadata that was asked for, in order. */
  asked?: string[];
  after?(client: Client, repository: TufSimulator): void;
}

/** A row of the table. `suite`: file and test of theupdateframework/tuf-conformance that it corresponds to, or `own`. */
export interface Row {
  name: string;
  suite: string;
  repository?(): TufSimulator;
  /** Changes the root that the client begins to trust from. */
  initialRoot?(bytes: Buffer): Buffer;
  steps: Step[];
}

/** A refresh of version 1 of everything, as most cases begin. */
export const FIRST: Step = { expected: 'ok', trusted: { root: 1, timestamp: 1, snapshot: 1, targets: 1 } };

/** A board's client of TUF with a folder of its own, over real HTTP. */
export class Client {
  readonly source: HttpsMetadataSource;

  constructor(
    readonly directory: string,
    private readonly initialRoot: Buffer,
    server: MetadataServer,
  ) {
    this.source = new HttpsMetadataSource(server.url, plainGet);
  }

  async act(step: Step): Promise<{ outcome: Outcome; bytes: Buffer | null }> {
    const { signal } = new AbortController();
    const trust = new TufTrust({
      directory: join(this.directory, 'tuf'),
      enrolledRoot: this.initialRoot.toString(),
      now: () => Date.now() + (step.days ?? 0) * 86_400_000,
      log: silent,
    });
    try {
      const bytes = await trust.update(this.source, signal, async (update, session) => {
        if (step.get === undefined) return null;
        const found = await update.find(step.get);
        if (found === undefined) throw new InstallError('TARGET_UNKNOWN', `nobody lists ${step.get}`);
        return fetchTarget(session, found.target);
      });
      return { outcome: 'ok', bytes };
    } catch (error) {
      if (error instanceof InstallError) return { outcome: error.code, bytes: null };
      throw error;
    }
  }

  /** A role's metadata on the client's disk; null: none. */
  local(role: string): Buffer | null {
    const path = join(this.directory, 'tuf', `${encodeURIComponent(role)}.json`);
    return existsSync(path) ? readFileSync(path) : null;
  }

  version(role: string): number | null {
    const bytes = this.local(role);
    return bytes === null ? null : (JSON.parse(bytes.toString()).signed.version as number);
  }
}

/** Plays one row. */
export async function play(row: Row, server: MetadataServer): Promise<void> {
  const repository = row.repository?.() ?? new TufSimulator();
  const root = repository.files.get('1.root.json') as Buffer;
  const directory = await mkdtemp(join(tmpdir(), 'vigie-tuf-'));
  const client = new Client(directory, row.initialRoot?.(root) ?? root, server);
  server.repository = repository;
  try {
    for (const [index, step] of row.steps.entries()) {
      step.before?.(repository);
      server.asked.length = 0;
      const { outcome, bytes } = await client.act(step);
      const where = `step ${index + 1}`;
      expect(outcome, where).toBe(step.expected);
      const versions = Object.keys(step.trusted ?? {}).map((role) => [role, client.version(role)]);
      expect(Object.fromEntries(versions), where).toEqual(step.trusted ?? {});
      if (step.asked !== undefined) expect(server.asked, where).toEqual(step.asked);
      if (step.get !== undefined && outcome === 'ok') {
        expect(repository.objects.get(sha256In(repository, step.get))?.equals(bytes as Buffer), where).toBe(true);
      }
      step.after?.(client, repository);
    }
  } finally {
    server.special.clear();
    await rm(directory, { recursive: true, force: true });
  }
}

function sha256In(repository: TufSimulator, path: string): string {
  for (const { targets } of repository.roles.values()) {
    if (targets[path] !== undefined) return targets[path].hashes.sha256;
  }
  throw new Error(`no role of the repository lists ${path}`);
}
