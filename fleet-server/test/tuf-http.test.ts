import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tufFileRoutes } from '@vigie/fleet-server/routes/tuf-routes';
import Fastify, { type FastifyInstance } from 'fastify';
import { Updater } from 'tuf-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rotate } from '../src/io/tuf/key-changes.js';
import type { TufRepository } from '../src/io/tuf/tuf-repository.js';
import { listing, signAll, TrustFixture } from './trust-fixture.js';

let fixture: TrustFixture;
let repository: TufRepository;
let server: FastifyInstance;
let url: string;
let client: string;

/** An independent client with its own folder of trusted metadata. */
function updater(): Updater {
  return new Updater({ metadataDir: client, metadataBaseUrl: `${url}/tuf` });
}

beforeEach(async () => {
  fixture = await TrustFixture.create(true);
  fixture.at = Date.now();
  repository = await fixture.open();
  server = Fastify({ forceCloseConnections: true });
  tufFileRoutes(server, () => repository.metadata());
  url = await server.listen({ host: '127.0.0.1', port: 0 });
  client = await mkdtemp(join(tmpdir(), 'vigie-updater-'));
  await writeFile(join(client, 'root.json'), repository.rootText());
});

afterEach(async () => {
  await server.close();
  await rm(client, { recursive: true, force: true });
  await fixture.drop();
});

describe('tuf-js over HTTP', () => {
  it('finds releases by the publisher and certificates by the delegated role', async () => {
    const wanted = listing('1.0.0');
    await repository.publishListing(wanted);
    const [release] = wanted.releases;
    const [certificate] = wanted.certificates;
    expect(await updater().getTargetInfo(release.path), 'nobody has signed yet').toBeUndefined();
    await signAll(repository, fixture.targets);
    const found = updater();
    expect((await found.getTargetInfo(release.path))?.hashes.sha256).toBe(release.sha256);
    expect((await found.getTargetInfo(certificate.path))?.hashes.sha256).toBe(certificate.sha256);
    expect(await found.getTargetInfo('releases/m/9.9.9.json')).toBeUndefined();
    await repository.publishListing({ releases: wanted.releases, certificates: [] });
    expect(await updater().getTargetInfo(certificate.path), 'withdrawn').toBeUndefined();
  });

  it('follows a chain of roots from the first one, and new keys of every role', async () => {
    await updater().refresh();
    for (const role of ['timestamp', 'snapshot', 'certified', 'timestamp'] as const) {
      await rotate(repository, role);
      await signAll(repository, [...fixture.root, ...fixture.targets]);
      await updater().refresh();
    }
    expect(repository.versions().root).toBe(4);
    expect(JSON.parse(await readFile(join(client, 'root.json'), 'utf8')).signed.version).toBe(4);
    await repository.publishListing(listing('1.0.0'));
    await signAll(repository, fixture.targets);
    expect(await updater().getTargetInfo('releases/m/1.0.0.json')).toBeDefined();
  });

  it('recovers from a snapshot version that a thief drove up, once its key is rotated', async () => {
    await updater().refresh();
    // What a stolen key could do: the next version is far ahead. The client keeps it as the newest it saw.
    const thief = await fixture.open();
    await thief.continueAbove({ snapshot: 1_000_000, timestamp: 1_000_000 });
    const honest = repository;
    repository = thief;
    await updater().refresh();
    repository = honest;
    await expect(updater().refresh()).rejects.toThrow(/less than current version/);
    await rotate(repository, 'timestamp');
    await rotate(repository, 'snapshot');
    await signAll(repository, fixture.root);
    expect(repository.versions().timestamp).toBeLessThan(10);
    await updater().refresh();
  });

  it('refuses a server that was restored from a backup, until its versions continue above', async () => {
    await cp(fixture.folder, `${fixture.folder}.backup`, { recursive: true });
    await repository.publishListing({ releases: [], certificates: listing('1.0.0').certificates });
    await updater().refresh();
    const seen = repository.versions();
    await rm(fixture.folder, { recursive: true });
    await rename(`${fixture.folder}.backup`, fixture.folder);
    repository = await fixture.open();
    expect(repository.versions().timestamp).toBeLessThan(seen.timestamp);
    await expect(updater().refresh()).rejects.toThrow(/less than current version/);
    await repository.continueAbove(seen);
    expect(repository.versions()).toMatchObject({ timestamp: seen.timestamp + 1, snapshot: seen.snapshot + 1 });
    await updater().refresh();
  });
});

describe('GET /tuf', () => {
  it('serves exact bytes with an ETag, 304 and lasting versions, and nothing else', async () => {
    const timestamp = await fetch(`${url}/tuf/timestamp.json`);
    expect(timestamp.headers.get('cache-control')).toBe('no-cache');
    expect(await timestamp.text()).toBe(await readFile(join(fixture.directory, 'timestamp.json'), 'utf8'));
    const etag = timestamp.headers.get('etag') as string;
    const again = await fetch(`${url}/tuf/timestamp.json`, { headers: { 'if-none-match': `"x", ${etag}` } });
    expect([again.status, await again.text()]).toEqual([304, '']);
    await repository.publishListing({ releases: [], certificates: listing('1.0.0').certificates });
    expect((await fetch(`${url}/tuf/timestamp.json`, { headers: { 'if-none-match': etag } })).status).toBe(200);
    const root = await fetch(`${url}/tuf/1.root.json`);
    expect(root.headers.get('cache-control')).toContain('immutable');
    for (const absent of ['2.root.json', '9.targets.json', 'root.json', '1.timestamp.json'])
      expect((await fetch(`${url}/tuf/${absent}`)).status, absent).toBeGreaterThanOrEqual(400);
    expect((await fetch(`${url}/tuf/2.root.json`)).status).toBe(404);
    expect((await fetch(`${url}/tuf/..%2Fkeys%2Fdesired.pem`)).status).toBeGreaterThanOrEqual(400);
  });
});
