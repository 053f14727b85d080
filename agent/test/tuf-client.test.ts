import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkTopic, type ReleaseReference, TUF_INDEX_TOPIC, tufTopic } from '@vigie/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MqttLink } from '../src/io/mqtt-link.js';
import { MqttMetadataSource } from '../src/io/mqtt-metadata.js';
import { TufClient } from '../src/io/tuf-client.js';
import { makePackage, silent } from './board-fixture.js';
import { forger, scratchFolder, sha256, TestBroker, TestFleet, until } from './fleet-fixture.js';

let broker: TestBroker;
let fleet: TestFleet;
let link: MqttLink;
let directory: string;
let release: ReleaseReference;
let now: number;

const signal = new AbortController().signal;

function client(): TufClient {
  const source = new MqttMetadataSource(link, 300);
  return new TufClient({
    sources: () => [source],
    directory,
    enrolledRoot: fleet.identity.tufRoot,
    enrolledKeys: fleet.identity.serverKeys,
    hardwareClass: 'generic-x64',
    now: () => now,
    log: silent,
  });
}

async function code(): Promise<string> {
  return client()
    .describe(release, signal)
    .then(
      () => 'ok',
      (error: { code: string }) => error.code,
    );
}

beforeEach(async () => {
  now = Date.now();
  broker = await TestBroker.start();
  fleet = new TestFleet(broker);
  directory = join(scratchFolder(), 'tuf');
  release = await fleet.publish(await makePackage('1.0.0', { modelBytes: 1000 }), { chunks: false });
  link = new MqttLink({ ...fleet.identity.mqtt, deviceId: 'board-1', bootId: '00000000-0000', log: silent });
  link.start();
  await until('a connection', () => link.connected);
});

afterEach(async () => {
  await link.stop();
  await broker.close();
});

test('a signed release is described, and the metadata is kept', async () => {
  const descriptor = await client().describe(release, signal);
  expect(descriptor).toMatchObject(release);
  expect((await readdir(directory)).sort()).toEqual([
    'certified.json',
    'root.json',
    'snapshot.json',
    'targets.json',
    'timestamp.json',
    'vigie.json',
  ]);
});

test('a descriptor with other bytes than the publisher signed', async () => {
  const { bytes } = [...fleet.releases.values()][0];
  const wrong = Buffer.from(bytes);
  wrong[wrong.length - 3] ^= 1;
  await broker.retain(chunkTopic(sha256(bytes)), wrong);
  expect(await code()).toBe('TUF_MISMATCH');
});

test('metadata with other bytes than announced, of a forger, absent', async () => {
  await broker.retain(tufTopic('snapshot', fleet.version), Buffer.from('{"signed":{}}'));
  expect(await code()).toBe('TUF_MISMATCH');
  await fleet.republish();
  expect(await code()).toBe('ok');

  const { timestamp } = fleet.keys;
  fleet.keys.timestamp = forger(timestamp);
  await fleet.republish();
  expect(await code()).toBe('TUF_SIGNATURE_INVALID');
  fleet.keys.timestamp = timestamp;
  await fleet.republish();

  await broker.retain(tufTopic('targets', fleet.version), Buffer.alloc(0));
  expect(await code()).toBe('TUF_UNAVAILABLE');
  await broker.retain(TUF_INDEX_TOPIC, Buffer.alloc(0));
  expect(await code()).toBe('TUF_UNAVAILABLE');
});

test('time is an argument: an hour later everything has expired', async () => {
  expect(await code()).toBe('ok');
  now += 2 * 3_600_000;
  expect(await code()).toBe('TUF_EXPIRED');
});

test('an older version than the trusted one, also for a client that was started anew', async () => {
  await fleet.republish(9);
  expect(await code()).toBe('ok');
  await fleet.republish(8);
  expect(await code()).toBe('TUF_ROLLBACK');
  await fleet.republish(9);
  expect(await code()).toBe('ok');
});

test('what was verified before a refusal is kept, what was refused is not (TUF 5.4.5, 5.5.7, 5.6.3)', async () => {
  expect(await code()).toBe('ok');
  const before = await readFile(join(directory, 'targets.json'), 'utf8');
  fleet.targetsSigner = forger(fleet.keys.targets);
  await fleet.republish();
  expect(await code()).toBe('TUF_SIGNATURE_INVALID');
  expect(await readFile(join(directory, 'targets.json'), 'utf8')).toBe(before);
  expect(JSON.parse(await readFile(join(directory, 'timestamp.json'), 'utf8')).signed.version).toBe(2);
});

test('a crash between the two renames, a torn root and a lost folder are mended', async () => {
  expect(await code()).toBe('ok');
  await mkdir(`${directory}.new`);
  await copyFile(join(directory, 'root.json'), join(`${directory}.new`, 'root.json'));
  await rename(directory, `${directory}.old`);
  expect(await code()).toBe('ok');
  await writeFile(join(directory, 'root.json'), '{"signed"');
  expect(await code()).toBe('ok');
  await rm(directory, { recursive: true });
  expect(await code()).toBe('ok');
  expect((await readdir(join(directory, '..'))).sort()).toEqual(['tuf']);
});
