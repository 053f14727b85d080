import { afterEach, describe, expect, it } from 'vitest';
import { listing, signAll, TrustFixture, verifyPublished } from '../../../test/trust-fixture.js';
import { keyidsOf, revoke, rotate, stageRoot } from './key-changes.js';
import { newSigningKey } from './signing-key.js';
import { tufStatus } from './tuf-status.js';

let fixture: TrustFixture;

afterEach(() => fixture.drop());

describe('rotation with the keys at hand', () => {
  it('replaces the key of each role, and what it signed', async () => {
    fixture = await TrustFixture.create();
    let repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    for (const role of ['timestamp', 'snapshot', 'certified', 'targets', 'root'] as const) {
      const [old] = keyidsOf(repository, role);
      const key = await rotate(repository, role);
      expect(keyidsOf(repository, role), role).toEqual([key.keyid]);
      expect((await fixture.keys()).has(old), `the old key of ${role} is deleted`).toBe(false);
      expect(verifyPublished(repository, fixture.now()).releases).toHaveLength(1);
      repository = await fixture.open();
      verifyPublished(repository, fixture.now());
    }
    expect(repository.versions().root).toBe(5);
    const roots = repository.metadata().filter(({ role }) => role === 'root');
    expect(roots.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
    expect(
      tufStatus(repository)
        .roles.flatMap(({ keys }) => keys)
        .every(({ here }) => here),
    ).toBe(true);
  });

  it('signs desired states with the old and the new key until the old one is revoked', async () => {
    fixture = await TrustFixture.create();
    const repository = await fixture.open();
    const [old] = repository.serverKeyIds();
    const key = await rotate(repository, 'desired');
    expect(repository.serverKeyIds()).toEqual([old, key.keyid]);
    expect(repository.desiredKeys()).toHaveLength(2);
    expect(await revoke(repository, old.slice(0, 8))).toEqual(['desired']);
    expect(repository.serverKeyIds()).toEqual([key.keyid]);
    const again = await fixture.open();
    expect(again.desiredKeys()).toHaveLength(1);
    expect((await fixture.keys()).has(old)).toBe(false);
    await expect(revoke(again, key.keyid)).rejects.toMatchObject({ code: 'KEY_LAST' });
  });

  it('refuses what would leave nobody to sign', async () => {
    fixture = await TrustFixture.create();
    const repository = await fixture.open();
    for (const role of ['root', 'targets', 'snapshot', 'timestamp', 'certified'] as const)
      await expect(revoke(repository, keyidsOf(repository, role)[0]), role).rejects.toMatchObject({ code: 'KEY_LAST' });
    await expect(revoke(repository, 'ab'.repeat(32))).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
    const thresholds = [{ role: 'targets' as const, threshold: 2 }];
    await expect(stageRoot(repository, { thresholds })).rejects.toMatchObject({ code: 'KEY_LAST' });
    expect(repository.versions().root).toBe(1);
  });
});

describe('rotation with offline keys, 2 of 3', () => {
  it('makes a root that old and new keys sign', async () => {
    fixture = await TrustFixture.create(true);
    const repository = await fixture.open();
    const [a, b, c] = fixture.root;
    const [d, e] = [newSigningKey(), newSigningKey()];
    const add = [d, e].map((key) => ({ role: 'root' as const, key }));
    const remove = [a, b].map(({ keyid }) => ({ role: 'root' as const, keyid }));
    await stageRoot(repository, { add, remove });
    await signAll(repository, [d, e]);
    expect(repository.versions().root, 'the new keys alone do not suffice (5.3.4)').toBe(1);
    expect(repository.waiting()).toEqual([{ role: 'root', version: 2, missing: 2 }]);
    await signAll(repository, [c]);
    expect(repository.waiting()).toEqual([{ role: 'root', version: 2, missing: 1 }]);
    expect(await signAll(repository, [b])).toBe(true);
    expect(repository.versions().root).toBe(2);
    verifyPublished(await fixture.open(), fixture.now());
  });

  it('lets a root wait until targets is signed by the keys that it names', async () => {
    fixture = await TrustFixture.create(true);
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    await signAll(repository, fixture.targets);
    const fresh = [newSigningKey(), newSigningKey(), newSigningKey()];
    await stageRoot(repository, {
      add: fresh.map((key) => ({ role: 'targets' as const, key })),
      remove: fixture.targets.map(({ keyid }) => ({ role: 'targets' as const, keyid })),
    });
    await repository.publishListing(listing('1.0.0', '2.0.0'));
    await signAll(repository, fixture.root);
    expect(repository.versions()).toMatchObject({ root: 1, targets: 2 });
    expect(repository.warnings()).toEqual([
      'root 2 is signed and waits for the targets that its keys must sign',
      'targets 3 waits for 2 signatures: vigie-server tuf sign',
    ]);
    verifyPublished(repository, fixture.now());
    await signAll(await fixture.open(), [fresh[0]]);
    const again = await fixture.open();
    expect(await signAll(again, [fresh[2]])).toBe(true);
    expect(again.versions()).toMatchObject({ root: 2, targets: 3 });
    expect(verifyPublished(again, fixture.now()).releases).toHaveLength(2);
  });

  it('takes a stolen key away, and goes on with the other two', async () => {
    fixture = await TrustFixture.create(true);
    const repository = await fixture.open();
    const [stolen, second, third] = fixture.targets;
    expect(await revoke(repository, stolen.keyid)).toEqual(['targets']);
    await signAll(repository, fixture.root);
    await signAll(repository, [second, third]);
    expect(repository.versions().root).toBe(2);
    await repository.publishListing(listing('1.0.0'));
    await signAll(repository, [stolen, second]);
    expect(repository.isPublished('releases/m/1.0.0.json')).toBe(false);
    await signAll(repository, [third]);
    expect(verifyPublished(repository, fixture.now()).releases).toHaveLength(1);
  });

  it('stages the new key of an online role, and signs with the old one until then', async () => {
    fixture = await TrustFixture.create(true);
    const repository = await fixture.open();
    const key = await rotate(repository, 'snapshot');
    await rotate(repository, 'desired');
    expect(repository.versions().root).toBe(1);
    expect(repository.serverKeyIds()).toHaveLength(1);
    expect(repository.desiredKeys(), 'boards that know only one of them').toHaveLength(2);
    await repository.publishListing({ releases: [], certificates: listing('1.0.0').certificates });
    verifyPublished(repository, fixture.now());
    await signAll(repository, [...fixture.root, ...fixture.targets]);
    expect(repository.state.root.document.signed.roles.snapshot.keyids).toEqual([key.keyid]);
    expect(repository.serverKeyIds()).toHaveLength(2);
    verifyPublished(await fixture.open(), fixture.now());
    await expect(rotate(repository, 'targets')).rejects.toMatchObject({ code: 'REQUEST_UNFIT' });
  });
});
