import { cp, rm } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { listing, plainWriter, signAll, TrustFixture, verifyPublished } from '../../../test/trust-fixture.js';
import type { TrustWriter } from './folder-trust-storage.js';
import { revoke, rotate, stageRoot } from './key-changes.js';
import { newSigningKey } from './signing-key.js';
import type { TufRepository } from './tuf-repository.js';

class PowerCut extends Error {}

/** Lets so many writes and removals through, then every further one fails: the disk is as a cut would leave it. */
function cutAfter(count: number): { writer: TrustWriter; wasCut: () => boolean } {
  let left = count;
  const spend = () => {
    left -= 1;
    if (left < 0) throw new PowerCut();
  };
  const writer: TrustWriter = {
    write: async (path, bytes) => {
      spend();
      await plainWriter.write(path, bytes);
    },
    remove: async (path) => {
      spend();
      await plainWriter.remove(path);
    },
  };
  return { writer, wasCut: () => left < 0 };
}

let fixture: TrustFixture;
const extra = [newSigningKey(), newSigningKey()];

/** Changes that write in as many ways as there are. */
const CHANGES: Record<string, { offline: boolean; change: (repository: TufRepository) => Promise<unknown> }> = {
  'a release': { offline: false, change: (repository) => repository.publishListing(listing('1.0.0', '2.0.0')) },
  'a rotation of timestamp': { offline: false, change: (repository) => rotate(repository, 'timestamp') },
  'a rotation of snapshot': { offline: false, change: (repository) => rotate(repository, 'snapshot') },
  'a rotation of certified': { offline: false, change: (repository) => rotate(repository, 'certified') },
  'a rotation of targets': { offline: false, change: (repository) => rotate(repository, 'targets') },
  'a rotation of root': { offline: false, change: (repository) => rotate(repository, 'root') },
  'a key of desired states, and its end': {
    offline: false,
    change: async (repository) => {
      const [old] = repository.serverKeyIds();
      await rotate(repository, 'desired');
      await revoke(repository, old);
    },
  },
  'a signed release': {
    offline: true,
    change: async (repository) => {
      await repository.publishListing(listing('1.0.0', '2.0.0'));
      await signAll(repository, fixture.targets);
    },
  },
  'a root with other keys of targets': {
    offline: true,
    change: async (repository) => {
      const add = extra.map((key) => ({ role: 'targets' as const, key }));
      const remove = fixture.targets.map(({ keyid }) => ({ role: 'targets' as const, keyid }));
      await stageRoot(repository, { add, remove });
      await signAll(repository, [...fixture.root, ...extra]);
    },
  },
  'higher versions': { offline: false, change: (repository) => repository.continueAbove({ targets: 5, timestamp: 9 }) },
};

afterEach(() => fixture.drop());

describe('a cut at every write', () => {
  it.each(Object.entries(CHANGES))(
    'of %s leaves a repository that opens and goes on',
    async (_name, { offline, change }) => {
      fixture = await TrustFixture.create(offline);
      const first = await fixture.open();
      await first.publishListing(listing('1.0.0'));
      if (offline) await signAll(first, fixture.targets);
      const [folder, saved] = [fixture.folder, `${fixture.folder}.saved`];
      await cp(folder, saved, { recursive: true });
      let cuts = 0;
      for (;;) {
        await rm(folder, { recursive: true });
        await cp(saved, folder, { recursive: true });
        const { writer, wasCut } = cutAfter(cuts);
        const failure = await fixture
          .open(writer)
          .then(change)
          .then(
            () => null,
            (error: unknown) => error,
          );
        if (!wasCut()) {
          expect(failure).toBe(null);
          break;
        }
        expect(failure).toBeInstanceOf(PowerCut);
        const before = first.versions();
        const repository = await fixture.open();
        const after = repository.versions();
        for (const role of ['root', 'targets', 'certified', 'snapshot', 'timestamp'] as const)
          expect(after[role], `${role} after ${cuts} writes`).toBeGreaterThanOrEqual(before[role]);
        expect(verifyPublished(repository, fixture.now()).releases).toContain('releases/m/1.0.0.json');
        // Everything else goes on, and the change can be made again.
        await repository.publishListing(listing('1.0.0', '9.0.0'));
        await signAll(repository, [...fixture.targets, ...extra, ...fixture.root]).catch(() => false);
        verifyPublished(await fixture.open(), fixture.now());
        cuts += 1;
      }
      await rm(saved, { recursive: true });
      expect(cuts).toBeGreaterThanOrEqual(3);
    },
  );
});
