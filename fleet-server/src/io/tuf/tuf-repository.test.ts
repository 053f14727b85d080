import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, listing, TrustFixture, verifyPublished } from '../../../test/trust-fixture.js';

let fixture: TrustFixture;

beforeEach(async () => {
  fixture = await TrustFixture.create();
});

afterEach(() => fixture.drop());

describe('TufRepository', () => {
  it('signs a change once and keeps it over a restart', async () => {
    const first = await fixture.open();
    expect(first.versions()).toEqual({ root: 1, targets: 1, certified: 1, snapshot: 1, timestamp: 1 });
    expect(await first.publishListing(listing())).toBe(false);
    expect(await first.publishListing(listing('1.0.0', '2.0.0'))).toBe(true);
    expect(await first.publishListing(listing('2.0.0', '1.0.0'))).toBe(false);
    expect(first.versions()).toEqual({ root: 1, targets: 2, certified: 2, snapshot: 2, timestamp: 2 });
    expect(verifyPublished(first, fixture.now())).toEqual({
      releases: ['releases/m/1.0.0.json', 'releases/m/2.0.0.json'],
      certified: listing('1.0.0', '2.0.0').certificates.map(({ path }) => path),
    });
    const second = await fixture.open();
    expect(second.versions()).toEqual(first.versions());
    expect(await second.publishListing(listing('1.0.0'))).toBe(true);
    expect(verifyPublished(second, fixture.now()).releases).toEqual(['releases/m/1.0.0.json']);
  });

  it('takes certificates away without touching targets', async () => {
    const repository = await fixture.open();
    const { releases, certificates } = listing('1.0.0', '2.0.0');
    await repository.publishListing({ releases, certificates });
    await repository.publishListing({ releases, certificates: certificates.slice(0, 1) });
    expect(repository.versions()).toEqual({ root: 1, targets: 2, certified: 3, snapshot: 3, timestamp: 3 });
    expect(verifyPublished(repository, fixture.now()).certified).toHaveLength(1);
  });

  it('renews each role at half of its life, and versions only grow', async () => {
    const repository = await fixture.open();
    let last = repository.versions();
    const renewed: string[] = [];
    for (let day = 1; day <= 200; day += 1) {
      fixture.at += DAY;
      await repository.renew();
      const next = repository.versions();
      for (const role of ['root', 'targets', 'certified', 'snapshot', 'timestamp'] as const) {
        expect(next[role]).toBeGreaterThanOrEqual(last[role]);
        if (next[role] > last[role] && (role === 'root' || role === 'targets')) renewed.push(`${role} day ${day}`);
      }
      last = next;
      verifyPublished(repository, fixture.now());
    }
    expect(renewed).toEqual(['targets day 46', 'targets day 92', 'targets day 138', 'root day 183', 'targets day 184']);
    const again = await fixture.open();
    expect(again.metadata().filter(({ role }) => role === 'root')).toHaveLength(2);
    const files = await readdir(fixture.directory);
    for (const role of ['targets', 'certified', 'snapshot'])
      expect(files.filter((name) => name.endsWith(`.${role}.json`)).length, role).toBeLessThanOrEqual(2);
    expect(again.warnings()).toEqual([]);
  });

  it('continues above versions that boards have seen', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    await repository.continueAbove({ targets: 50, certified: 60, snapshot: 70, timestamp: 80 });
    expect(repository.versions()).toEqual({ root: 1, targets: 51, certified: 61, snapshot: 71, timestamp: 81 });
    expect(verifyPublished(repository, fixture.now()).releases).toEqual(['releases/m/1.0.0.json']);
    const again = await fixture.open();
    await again.continueAbove({ targets: 3, snapshot: 71 });
    expect(again.versions()).toEqual({ root: 1, targets: 51, certified: 61, snapshot: 72, timestamp: 82 });
    verifyPublished(again, fixture.now());
  });

  it('takes no notice of what an interrupted change left above the committed versions', async () => {
    await (await fixture.open()).publishListing(listing('1.0.0'));
    await writeFile(join(fixture.directory, '3.targets.json'), '{"torn');
    await writeFile(join(fixture.directory, '3.snapshot.json'), '');
    const repository = await fixture.open();
    expect(repository.versions().targets).toBe(2);
    expect(await repository.publishListing(listing('2.0.0'))).toBe(true);
    expect((await fixture.open()).versions().targets).toBe(3);
  });

  it('refuses files that were changed', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    for (const name of ['1.root.json', '2.targets.json', '2.certified.json', '2.snapshot.json', 'timestamp.json']) {
      const path = join(fixture.directory, name);
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('"version":', '"version": '));
      const shifted = name === '1.root.json' || name === 'timestamp.json';
      // Only what stands above a file lists its exact bytes; root and timestamp are held by their signatures.
      if (shifted) await fixture.open();
      else await expect(fixture.open(), name).rejects.toMatchObject({ code: 'TUF_REPOSITORY_INVALID' });
      await writeFile(path, text.replace(/"expires":"20/, '"expires":"21'));
      await expect(fixture.open(), name).rejects.toMatchObject({ code: 'TUF_REPOSITORY_INVALID' });
      await writeFile(path, text);
    }
    await fixture.open();
  });

  it('does not go on without the keys of an online role', async () => {
    const keys = await fixture.keys();
    for (const { keyid } of keys.of('timestamp')) await keys.remove(keyid);
    const repository = await fixture.open();
    await expect(repository.publishListing(listing('1.0.0'))).rejects.toMatchObject({ code: 'TUF_KEYS_MISSING' });
    expect(verifyPublished(await fixture.open(), fixture.now()).releases).toEqual([]);
  });

  it('refuses more targets than boards take, and changes nothing', async () => {
    const repository = await fixture.open();
    const [release] = listing('1.0.0').releases;
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...release, path: `releases/model-${index}/1.0.0.json` }));
    const before = repository.versions();
    await expect(repository.publishListing({ releases: many(40_000), certificates: [] })).rejects.toMatchObject({
      code: 'METADATA_TOO_LARGE',
    });
    expect(repository.versions()).toEqual(before);
    expect(await repository.publishListing({ releases: many(5000), certificates: [] })).toBe(true);
    const size =
      repository.metadata().find(({ role, version }) => role === 'targets' && version === 2)?.bytes.length ?? 0;
    const added = { ...release, path: 'releases/one-more/1.0.0.json' };
    const estimate = repository.sizeWith({ releases: [added], certificates: [] });
    expect(estimate).toBeGreaterThan(size);
    expect(estimate).toBeLessThan(size + 10_000);
    expect((await fixture.open()).versions().targets).toBe(2);
  });
});
