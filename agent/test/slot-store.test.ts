import { cp, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunksOf, describePackage } from '@vigie/models/package/descriptor';
import { openPackageDirectory } from '@vigie/models/package/package';
import { chunkTopic, type ReleaseDescriptor } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkDelivery } from '../src/io/delivery/chunk-delivery.js';
import { MqttChunkTransport } from '../src/io/delivery/mqtt-chunk-transport.js';
import { MqttLink } from '../src/io/mqtt-link.js';
import { SlotStore } from '../src/io/slot-store.js';
import { systemClock } from '../src/io/system-clock.js';
import { makePackage, silent } from './board-fixture.js';
import { scratchFolder, sha256, TestBroker, until } from './fleet-fixture.js';

let broker: TestBroker;
let link: MqttLink;
let data: string;

beforeEach(async () => {
  broker = await TestBroker.start();
  link = new MqttLink({
    url: broker.url,
    deviceId: 'board-1',
    bootId: '00000000-0000-4000-8000-000000000000',
    log: silent,
  });
  link.start();
  await until('a connection', () => link.connected);
  data = scratchFolder();
});

afterEach(async () => {
  await link.stop();
  await broker.close();
});

function store(): SlotStore {
  const delivery = new ChunkDelivery({
    deviceId: 'board-1',
    dataDirectory: data,
    board: { transport: 'auto', maxBytesPerSecond: 0, monthlyBytes: 0, metered: false },
    transports: [new MqttChunkTransport({ link, clock: systemClock, random: Math.random, quietMs: 2000 })],
    clock: systemClock,
    now: Date.now,
    log: silent,
  });
  return new SlotStore({ dataDirectory: data, bundledDirectory: null, delivery });
}

/** Puts the chunks of a package on the broker. */
async function publish(directory: string): Promise<ReleaseDescriptor> {
  const open = await openPackageDirectory(directory);
  for (const { path } of open.files) {
    for (const chunk of chunksOf(await readFile(join(directory, path))))
      await broker.retain(chunkTopic(chunk.sha256), chunk.bytes);
  }
  return describePackage(open, (path) => readFile(join(directory, path)));
}

async function fill(slots: SlotStore, descriptor: ReleaseDescriptor, generation: number, signal?: AbortSignal) {
  const order = { generation, issuedAt: Date.now(), policy: {} };
  const { fetchBytes } = await slots.survey(descriptor, new AbortController().signal);
  await slots.fill(descriptor, () => {}, signal ?? new AbortController().signal, order);
  await slots.verify(descriptor);
  return fetchBytes;
}

const asked = () => broker.subscribed.filter((topic) => topic.includes('/chunks/'));

/** A further version of a package: `change` edits its files. */
async function nextVersion(directory: string, version: string, change: (folder: string) => Promise<void>) {
  const folder = scratchFolder();
  await cp(directory, folder, { recursive: true });
  await change(folder);
  const manifest = join(folder, 'manifest.yaml');
  const model = await readFile(join(folder, 'model.onnx'));
  const text = await readFile(manifest, 'utf8');
  const named = text.replace(/^version: .*$/m, `version: ${version}`).replace(/sha256: .*/, `sha256: ${sha256(model)}`);
  await writeFile(manifest, named);
  return folder;
}

describe('a slot', () => {
  it('is filled without a byte of the model where labels or thresholds alone changed', async () => {
    const slots = store();
    const first = await makePackage('1.0.0', { modelBytes: 900_000 });
    const descriptor = await publish(first);
    expect(await fill(slots, descriptor, 1)).toBeGreaterThan(900_000);
    const relabelled = await nextVersion(first, '1.1.0', (folder) =>
      writeFile(join(folder, 'labels.txt'), 'person\ndog\n'),
    );
    const tuned = await nextVersion(relabelled, '1.2.0', async (folder) => {
      const path = join(folder, 'manifest.yaml');
      await writeFile(path, (await readFile(path, 'utf8')).replace('default: 0.4', 'default: 0.45'));
    });
    const model = new Set(descriptor.files.find(({ path }) => path === 'model.onnx')!.chunks.map(chunkTopic));
    for (const [generation, folder] of [relabelled, tuned].entries()) {
      broker.subscribed.length = 0;
      const next = await publish(folder);
      const fetchBytes = await fill(store(), next, generation + 2);
      expect(fetchBytes).toBeLessThan(2000);
      expect(asked().filter((topic) => model.has(topic))).toEqual([]);
    }
  });

  it('shares what another release has, also where everything behind a change has moved', async () => {
    const slots = store();
    const first = await makePackage('1.0.0', { modelBytes: 900_000 });
    await fill(slots, await publish(first), 1);
    const grown = await nextVersion(first, '1.1.0', async (folder) => {
      const path = join(folder, 'model.onnx');
      const model = await readFile(path);
      await writeFile(path, Buffer.concat([model.subarray(0, 100_001), Buffer.alloc(777, 5), model.subarray(100_001)]));
    });
    broker.subscribed.length = 0;
    const fetchBytes = await fill(slots, await publish(grown), 2);
    expect(fetchBytes).toBeLessThan(150_000);
    expect(new Set(asked()).size).toBe(asked().length);
  });

  it('goes on after interruptions at any point: each chunk comes once, but for those under way', async () => {
    const descriptor = await publish(await makePackage('1.0.0', { modelBytes: 2_000_000 }));
    const chunks = new Set(descriptor.files.flatMap((file) => file.chunks)).size;
    let interruptions = 0;
    for (let stopAfter = 3; ; stopAfter += 11) {
      // A new start each time: nothing is remembered but what lies on the disk.
      const slots = store();
      const stop = new AbortController();
      let written = 0;
      const order = { generation: 1, issuedAt: Date.now(), policy: {} };
      const filling = slots.fill(
        descriptor,
        () => {
          written += 1;
          if (written === stopAfter) stop.abort(new Error('interrupted'));
        },
        stop.signal,
        order,
      );
      const interrupted = await filling.then(
        () => false,
        (error: Error) => {
          if (error.message !== 'interrupted') throw error;
          return true;
        },
      );
      if (!interrupted) break;
      interruptions += 1;
    }
    await store().verify(descriptor);
    expect(interruptions).toBeGreaterThan(3);
    expect(asked().length).toBeLessThanOrEqual(chunks + interruptions * 32);
    expect(asked().length).toBeGreaterThanOrEqual(chunks);
  });

  it('fetches again what a power cut left torn, and nothing else', async () => {
    const descriptor = await publish(await makePackage('1.0.0', { modelBytes: 900_000 }));
    const slots = store();
    await fill(slots, descriptor, 1);
    const path = join(slots.directoryOf(descriptor.digest), 'model.onnx');
    const handle = await open(path, 'r+');
    await handle.write(Buffer.alloc(4096), 0, 4096, 500_000);
    await handle.truncate(890_000);
    await handle.close();
    broker.subscribed.length = 0;
    const fetchBytes = await fill(slots, descriptor, 2);
    expect(asked().length).toBeLessThan(8);
    expect(fetchBytes).toBeLessThan(200_000);
  });

  it('finds chunks of 64 KiB too, for descriptors that name no sizes', async () => {
    const slots = store();
    const first = await makePackage('1.0.0', { modelBytes: 300_000 });
    await fill(slots, await publish(first), 1);
    const next = await nextVersion(first, '1.1.0', async () => {});
    const descriptor = await publish(next);
    for (const file of descriptor.files) {
      const bytes = await readFile(join(next, file.path));
      delete file.chunkSizes;
      file.chunks = [];
      for (let at = 0; at < bytes.length; at += 65_536) {
        const piece = bytes.subarray(at, at + 65_536);
        file.chunks.push(sha256(piece));
        await broker.retain(chunkTopic(sha256(piece)), piece);
      }
    }
    expect(await fill(slots, descriptor, 2)).toBeLessThan(2000);
  });

  it('says DISK_FULL and DISK_ERROR for what the disk says', async () => {
    const descriptor = await publish(await makePackage('1.0.0'));
    for (const [code, expected] of [
      ['ENOSPC', 'DISK_FULL'],
      ['EIO', 'DISK_ERROR'],
    ]) {
      const { nodeFileSystem } = await import('../src/io/node-file-system.js');
      const disk = {
        ...nodeFileSystem,
        mkdir: async () => {
          throw Object.assign(new Error(code), { code });
        },
      };
      const slots = new SlotStore({ dataDirectory: data, bundledDirectory: null, delivery: null, disk });
      await expect(slots.survey(descriptor, new AbortController().signal)).rejects.toMatchObject({ code: expected });
    }
  });
});
