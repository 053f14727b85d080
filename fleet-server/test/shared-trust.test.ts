import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseTrustStorage } from '../src/io/database/database-trust-storage.js';
import { rotate } from '../src/io/tuf/key-changes.js';
import { KeyFolder, ONLINE_PURPOSES } from '../src/io/tuf/key-folder.js';
import { TufRepository } from '../src/io/tuf/tuf-repository.js';
import { openTestDatabase, temporaryFolder } from './server-fixture.js';
import { listing, verifyPublished } from './trust-fixture.js';

/** Replicas of a server on one database: each has the same keys and a repository of its own over the same tables. */
describe('trust in a database', () => {
  let folder: string;
  let database: Database;
  let keys: KeyFolder;
  const now = () => new Date('2026-11-21T07:00:00Z');
  const open = () => TufRepository.open({ storage: new DatabaseTrustStorage(database), keys, now });

  beforeAll(async () => {
    folder = await temporaryFolder();
    database = await openTestDatabase(folder);
    keys = await KeyFolder.open(join(folder, 'keys'));
    for (const purpose of ONLINE_PURPOSES) await keys.create(purpose);
    const storage = new DatabaseTrustStorage(database);
    const setup = async (role: 'root' | 'targets') => ({ keys: [await keys.create(role)], threshold: 1 });
    await TufRepository.create({ storage, keys, now }, { root: await setup('root'), targets: await setup('targets') });
  });

  afterAll(async () => {
    await database?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is one for all: what one replica publishes, the others take over', async () => {
    const [one, two] = [await open(), await open()];
    expect(await one.publishListing(listing('1.0.0'))).toBe(true);
    expect(two.isPublished('releases/m/1.0.0.json')).toBe(false);
    expect(await two.refresh()).toBe(true);
    expect(await two.refresh()).toBe(false);
    expect(two.versions()).toEqual(one.versions());
    expect(verifyPublished(two, now())).toEqual(verifyPublished(one, now()));
    // A board may be between two versions, whichever replica answers it.
    expect(two.metadata().filter(({ role }) => role === 'targets').length).toBe(2);
  });

  it('gives every version once, however many change it at the same time', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, open));
    const seen = new Map<string, string>();
    const before = replicas[0].versions().timestamp;
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(replicas.map((one, index) => one.publishListing(listing(`${round}.${index}.0`))));
      for (const one of replicas) {
        for (const { role, version, bytes } of one.metadata()) {
          const text = bytes.toString();
          expect(seen.get(`${role}/${version}`) ?? text, `${role} ${version}`).toBe(text);
          seen.set(`${role}/${version}`, text);
        }
      }
    }
    for (const one of replicas) await one.refresh();
    for (const one of replicas) expect(one.versions()).toEqual(replicas[0].versions());
    expect(replicas[0].versions().timestamp).toBe(before + 12);
    verifyPublished(replicas[1], now());
    verifyPublished(await open(), now());
  });

  it('keeps what a change of keys needs in one transaction', async () => {
    const [one, two] = [await open(), await open()];
    await two.publishListing(listing('1.0.0'));
    const key = await rotate(one, 'timestamp');
    await two.refresh();
    expect(two.state.root.document.signed.roles.timestamp.keyids).toEqual([key.keyid]);
    expect(verifyPublished(two, now()).releases).toEqual(['releases/m/1.0.0.json']);
  });
});
