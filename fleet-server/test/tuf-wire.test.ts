import { createPublicKey } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  type Certificate,
  CHUNK_BYTES,
  chunkTopic,
  type Desired,
  deviceTopic,
  MAX_MESSAGE_BYTES,
  openEnvelope,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  releaseTargetPath,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { revoke, rotate } from '../src/io/tuf/key-changes.js';
import type { TufRepository } from '../src/io/tuf/tuf-repository.js';
import type { Broker, ObjectStore } from '../src/ports.js';
import { Publication, type PublishableRelease } from '../src/services/publication.js';
import { type Listener, sha256 } from './server-fixture.js';
import { TrustFixture } from './trust-fixture.js';
import { fetchRelease, verifiedTargets } from './tuf-client.js';

/** The retained messages that a broker would hold, read as a board reads them. */
class Retained implements Broker {
  readonly connections = 0;
  readonly topics = new Map<string, Buffer>();
  published = 0;

  publish(topic: string, payload: Buffer): void {
    this.published += 1;
    expect(payload.length, topic).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
    if (payload.length === 0) this.topics.delete(topic);
    else this.topics.set(topic, payload);
  }

  disconnect(): void {}

  get listener(): Listener {
    const fetch = async (topic: string) => {
      const payload = this.topics.get(topic);
      if (payload === undefined) throw new Error(`${topic} is not retained`);
      return payload;
    };
    return { fetch } as unknown as Listener;
  }
}

/** Objects in memory: the folder store has tests of its own, and thousands of files would only cost time here. */
class Objects implements ObjectStore {
  readonly held = new Map<string, Buffer>();

  async put(name: string, bytes: Parameters<ObjectStore['put']>[1]): Promise<void> {
    this.held.set(name, bytes as Buffer);
  }

  async get(name: string): Promise<Buffer> {
    return this.held.get(name) as Buffer;
  }

  async read(name: string, { offset, length }: { offset: number; length: number }): Promise<Readable> {
    return Readable.from([(this.held.get(name) as Buffer).subarray(offset, offset + length)]);
  }

  async *pieces(name: string, places: readonly { offset: number; length: number }[]): AsyncIterable<Buffer> {
    for (const { offset, length } of places) yield (this.held.get(name) as Buffer).subarray(offset, offset + length);
  }

  async delete(name: string): Promise<void> {
    this.held.delete(name);
  }

  async *list(): AsyncIterable<never> {}

  async collect(): Promise<boolean> {
    return false;
  }
}

const desired: Desired = {
  deviceId: 'board-1',
  generation: 1,
  issuedAt: '2026-11-21T07:00:00.000Z',
  release: { name: 'model-0', version: '1.0.0', digest: 'd'.repeat(64) },
};

let fixture: TrustFixture;
let repository: TufRepository;
let objects: Objects;
let broker: Retained;
let released: PublishableRelease[];
let assigned: PublishableRelease[];
let publication: Publication;
let root: string;

/** A release with one file of 10 bytes that is named in as many chunks as make the descriptor this large. */
function release(index: number, labels = 1): PublishableRelease {
  const bytes = Buffer.from(`model ${index}`.padEnd(10));
  const descriptor: ReleaseDescriptor = {
    name: `model-${index}`,
    version: '1.0.0',
    digest: sha256(Buffer.from(`digest ${index}`)),
    precision: 'fp32',
    labels: Array.from({ length: labels }, (_, label) => `label ${label}`.padEnd(64, '.')),
    files: [{ path: 'model.onnx', size: 10, sha256: sha256(bytes), chunks: [sha256(bytes)] }],
    requires: {},
  };
  const text = Buffer.from(JSON.stringify(descriptor));
  objects.held.set(sha256(bytes), bytes);
  objects.held.set(sha256(text), text);
  const { name, version } = descriptor;
  return { name, version, descriptor, descriptorSha256: sha256(text), descriptorBytes: text.length };
}

const certificate = ({ descriptor }: PublishableRelease): Certificate => ({ digest: descriptor.digest, grants: [] });

beforeEach(async () => {
  fixture = await TrustFixture.create();
  fixture.at = Date.now();
  repository = await fixture.open();
  root = repository.rootText();
  objects = new Objects();
  broker = new Retained();
  released = [];
  assigned = [];
  const source = {
    listed: async () => released,
    assigned: async () => assigned,
    certificates: async () => released.map(certificate),
    desired: async () => [desired],
  };
  publication = new Publication(source, objects, repository, broker);
});

afterEach(() => fixture.drop());

describe('publication', () => {
  it('carries metadata larger than a message, and descriptors larger than a chunk, as chunks', async () => {
    // @tufjs/models reads a list in time that grows with its square: more than these would test nothing else.
    released = Array.from({ length: 1000 }, (_, index) => release(index, index === 0 ? 3000 : 1));
    assigned = released.slice(0, 2);
    expect(assigned[0].descriptorBytes).toBeGreaterThan(3 * CHUNK_BYTES);
    await publication.publishAll();
    const trusted = await verifiedTargets(broker.listener, root);
    expect(trusted.index.parts?.targets?.length).toBeGreaterThan(2);
    expect(trusted.index.parts?.certified?.length).toBeGreaterThan(2);
    expect(broker.topics.has(tufTopic('targets', trusted.index.targets))).toBe(false);
    expect(Object.keys(trusted.certified)).toHaveLength(1000);
    const certificates = Object.values(trusted.certified).map(({ length, hashes }) => [hashes.sha256, length] as const);
    for (const [hash, length] of certificates) expect(publication.smallTarget(hash), 'by HTTPS, too').toBe(length);
    for (const { name, version, descriptor } of assigned) {
      const found = await fetchRelease(broker.listener, trusted, releaseTargetPath(name, version));
      expect(found.descriptor).toEqual(descriptor);
    }
    // What grew small again leaves no piece behind.
    released = released.slice(0, 2);
    await publication.publishReleases();
    released = released.slice(0, 1);
    assigned = released;
    await publication.publishReleases();
    const after = await verifiedTargets(broker.listener, root);
    expect(after.index.parts).toBeUndefined();
    const chunks = [...broker.topics.keys()].filter((topic) => topic.includes('/chunks/'));
    const pieces = Math.ceil(released[0].descriptorBytes / CHUNK_BYTES);
    expect(chunks, 'model, descriptor, certificate, server keys').toHaveLength(1 + pieces + 1 + 1);
  });

  it('can be repeated for a broker that forgot everything', async () => {
    released = [release(0), release(1)];
    assigned = released;
    await publication.publishAll();
    const before = new Map(broker.topics);
    await publication.publishReleases();
    expect(broker.topics).toEqual(before);
    broker.topics.clear();
    await publication.publishAll();
    expect([...broker.topics.keys()].sort()).toEqual([...before.keys()].sort());
    broker.topics.delete(deviceTopic('board-1', 'desired'));
    assigned = [released[0]];
    await publication.publishAll();
    expect(broker.topics.has(chunkTopic(released[1].descriptorSha256)), 'what is not needed any more goes').toBe(false);
  });

  it('signs desired states so that boards with the old key list and with the new one believe them', async () => {
    const [old] = repository.serverKeys().pems;
    await rotate(repository, 'desired');
    const fresh = repository.serverKeys().pems[1];
    const open = (pem: string) => {
      const bytes = broker.topics.get(deviceTopic('board-1', 'desired')) as Buffer;
      return openEnvelope(JSON.parse(bytes.toString()), PAYLOAD_TYPE.desired, [createPublicKey(pem)]).ok;
    };
    await publication.publishAll();
    expect([open(old), open(fresh)]).toEqual([true, true]);
    await revoke(repository, repository.serverKeyIds()[0]);
    await publication.publishAll();
    expect([open(old), open(fresh)]).toEqual([false, true]);
    expect(broker.topics.has(TUF_INDEX_TOPIC)).toBe(true);
  });
});
