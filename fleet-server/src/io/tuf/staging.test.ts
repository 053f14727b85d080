import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY, listing, signAll, TrustFixture, verifyPublished } from '../../../test/trust-fixture.js';
import { describeStaged } from './describe-change.js';
import { signStaged } from './sign-offline.js';
import { newSigningKey } from './signing-key.js';
import { tufStatus } from './tuf-status.js';

let fixture: TrustFixture;

beforeEach(async () => {
  fixture = await TrustFixture.create(true);
});

afterEach(() => fixture.drop());

describe('targets with offline keys, 2 of 3', () => {
  it('wait for a threshold of signatures, over restarts, whoever signs first', async () => {
    let repository = await fixture.open();
    const [a, , c] = fixture.targets;
    await repository.publishListing(listing('1.0.0'));
    expect(repository.versions().targets).toBe(1);
    expect(repository.isPublished('releases/m/1.0.0.json')).toBe(false);
    expect(repository.waiting()).toEqual([{ role: 'targets', version: 2, missing: 2 }]);
    expect(repository.warnings()).toEqual(['targets 2 waits for 2 signatures: vigie-server tuf sign']);

    expect(await signAll(repository, [c])).toBe(false);
    expect(await signAll(repository, [c])).toBe(false);
    expect(repository.waiting(), 'the same key counts once').toEqual([{ role: 'targets', version: 2, missing: 1 }]);
    repository = await fixture.open();
    expect(tufStatus(repository).staged).toMatchObject([{ role: 'targets', missing: 1, signedBy: [c.keyid] }]);
    expect(await signAll(repository, [a])).toBe(true);
    expect(repository.waiting()).toEqual([]);
    expect(verifyPublished(await fixture.open(), fixture.now()).releases).toEqual(['releases/m/1.0.0.json']);
    expect(await readdir(join(fixture.directory, 'staged'))).toEqual([]);
  });

  it('refuse signatures of strangers, of other content and of other roles', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    const old = signStaged(structuredClone(repository.staged), fixture.targets[0]);
    const stranger = newSigningKey();
    expect(() => signStaged(repository.staged, stranger)).toThrow(/no signer/);
    const [signature] = old.signatures;
    const offer = (change: object) => repository.accept({ signatures: [{ ...signature, ...change }] });
    await expect(offer({ keyid: stranger.keyid })).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
    await expect(offer({ keyid: fixture.root[0].keyid })).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
    await expect(offer({ keyid: fixture.targets[1].keyid })).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    await expect(offer({ version: 3 })).rejects.toMatchObject({ code: 'STAGED_MISMATCH' });
    await expect(offer({ role: 'root' })).rejects.toMatchObject({ code: 'STAGED_MISMATCH' });
    await repository.publishListing(listing('1.0.0', '2.0.0'));
    await expect(repository.accept(old)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    expect(repository.waiting()).toEqual([{ role: 'targets', version: 2, missing: 2 }]);
  });

  it('say in words what is signed, and believe of the past only what the same key signed', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0', '2.0.0'));
    await signAll(repository, fixture.targets.slice(0, 2));
    await repository.publishListing(listing('2.0.0', '3.0.0'));
    const [first, , third] = fixture.targets;
    const words = describeStaged(repository.staged, first).join('\n');
    expect(words).toContain('changes since version 2');
    expect(words).toMatch(/ {2}\+ releases\/m\/3\.0\.0\.json {2}SHA-256 [0-9a-f]{64}/);
    expect(words).toContain('  - releases/m/1.0.0.json');
    expect(words).not.toContain('releases/m/2.0.0.json');
    expect(describeStaged(repository.staged, third).join('\n'), 'this key did not sign version 2').toContain(
      '+ releases/m/2.0.0.json',
    );
    const lie = structuredClone(repository.staged);
    lie.targets!.previous.signed.targets = lie.targets!.signed.targets;
    expect(describeStaged(lie, first).join('\n'), 'a forged past is not believed').toContain('+ releases/m/3.0.0.json');
  });

  it('withdraw at once by the certificate, which is online, and forget a change that was taken back', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0', '2.0.0'));
    await signAll(repository, fixture.targets);
    await repository.publishListing(listing('2.0.0'));
    const published = verifyPublished(repository, fixture.now());
    expect(published.releases).toHaveLength(2);
    expect(published.certified).toEqual([listing('2.0.0').certificates[0].path]);
    expect(repository.waiting()).toHaveLength(1);
    await repository.publishListing(listing('1.0.0', '2.0.0'));
    expect(repository.waiting()).toEqual([]);
  });

  it('are asked for a month before they expire, and once', async () => {
    const repository = await fixture.open();
    await repository.publishListing(listing('1.0.0'));
    await signAll(repository, fixture.targets);
    fixture.at += 59 * DAY;
    await repository.renew();
    expect(repository.warnings()).toEqual([]);
    fixture.at += 2 * DAY;
    await repository.renew();
    const { targets } = repository.staged;
    expect(repository.warnings()).toEqual([
      'targets 3 waits for 2 signatures: vigie-server tuf sign',
      'targets expires at 2027-02-19T07:00:00Z; its keys are offline: sign the version that is staged',
    ]);
    await repository.renew();
    expect(repository.staged.targets).toBe(targets);
    fixture.at += 40 * DAY;
    await repository.renew();
    expect(repository.warnings().join()).toContain('targets expired at 2027-02-19T07:00:00Z');
    await signAll(repository, fixture.targets.slice(1));
    expect(verifyPublished(repository, fixture.now()).releases).toHaveLength(1);
    expect(repository.warnings()).toEqual([]);
  });

  it('can continue above what boards have seen', async () => {
    const repository = await fixture.open();
    await repository.continueAbove({ targets: 9, certified: 9, snapshot: 9, timestamp: 9 });
    expect(repository.versions()).toEqual({ root: 1, targets: 1, certified: 10, snapshot: 10, timestamp: 10 });
    expect(repository.waiting()).toEqual([{ role: 'targets', version: 10, missing: 2 }]);
    await signAll(repository, fixture.targets);
    expect(repository.versions()).toEqual({ root: 1, targets: 10, certified: 10, snapshot: 11, timestamp: 11 });
    verifyPublished(repository, fixture.now());
  });
});
