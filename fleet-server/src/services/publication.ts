import type { KeyObject } from 'node:crypto';
import {
  chunkLayout,
  chunkTopic,
  DELIVERY,
  type Desired,
  deviceTopic,
  encodeMessage,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  releaseTargetPath,
  sealEnvelope,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import type { Broker, ObjectStore, TargetRepository } from '../ports.js';
import { Serial } from './serial.js';

/** A release as far as its publication goes. */
export interface PublishableRelease {
  name: string;
  version: string;
  descriptor: ReleaseDescriptor;
  descriptorSha256: string;
  descriptorBytes: number;
}

/** What the database says shall be on the wire. */
export interface PublicationSource {
  /** Releases that boards may install: the TUF targets. */
  released(): Promise<PublishableRelease[]>;
  /** Those of them that a device is assigned to: their bytes are retained. */
  assigned(): Promise<PublishableRelease[]>;
  /** Desired states of these devices, or of all. */
  desired(deviceIds?: readonly string[]): Promise<Desired[]>;
}

const EMPTY = Buffer.alloc(0);

/**
 * Keeps the broker's retained messages equal to the database. Bytes come before the metadata that names them, metadata
 * before the desired state that asks for it; what nobody needs any more goes last.
 */
export class Publication {
  readonly #source: PublicationSource;
  readonly #objects: ObjectStore;
  readonly #targets: TargetRepository;
  readonly #broker: Broker;
  readonly #signingKey: KeyObject;
  readonly #serial = new Serial();
  readonly #chunks = new Set<string>();
  #tufTopics = new Set<string>();

  constructor(
    source: PublicationSource,
    objects: ObjectStore,
    targets: TargetRepository,
    broker: Broker,
    signingKey: KeyObject,
  ) {
    this.#source = source;
    this.#objects = objects;
    this.#targets = targets;
    this.#broker = broker;
    this.#signingKey = signingKey;
  }

  /** Publishes everything: after a start, and whenever the broker may have forgotten or hold what is older. */
  async publishAll(): Promise<void> {
    await this.#serial.run(async () => {
      this.#chunks.clear();
      this.#tufTopics = new Set();
      await this.#publish(undefined);
    });
  }

  /** After an assignment: bytes and metadata, then the desired states of these devices. */
  async publishDesired(deviceIds: readonly string[]): Promise<void> {
    await this.#serial.run(() => this.#publish(deviceIds));
  }

  /** After an upload or a withdrawal: targets and bytes as the database has them now. */
  async publishReleases(): Promise<void> {
    await this.#serial.run(() => this.#publish([]));
  }

  /** Signs anew what expires, and publishes it. */
  async renew(): Promise<void> {
    await this.#serial.run(async () => {
      if (await this.#targets.renew()) this.#publishMetadata();
    });
  }

  /** Chunks on the wire now. */
  get chunkCount(): number {
    return this.#chunks.size;
  }

  async idle(): Promise<void> {
    await this.#serial.idle();
  }

  async #publish(deviceIds: readonly string[] | undefined): Promise<void> {
    const released = await this.#source.released();
    const assigned = await this.#source.assigned();
    const wanted = new Set<string>();
    for (const release of assigned) await this.#publishChunks(release, wanted);
    const entries = released.map(({ name, version, descriptorSha256, descriptorBytes }) => ({
      path: releaseTargetPath(name, version),
      length: descriptorBytes,
      sha256: descriptorSha256,
    }));
    const changed = await this.#targets.setTargets(entries);
    if (changed || this.#tufTopics.size === 0) this.#publishMetadata();
    if (deviceIds?.length !== 0) {
      for (const desired of await this.#source.desired(deviceIds)) this.#publishDesired(desired);
    }
    for (const sha256 of this.#chunks) {
      if (wanted.has(sha256)) continue;
      this.#broker.publish(chunkTopic(sha256), EMPTY, DELIVERY.chunks);
      this.#chunks.delete(sha256);
    }
  }

  /** Adds a release's chunks to `wanted`; reads and publishes only those that are not on the wire. */
  async #publishChunks({ descriptor, descriptorSha256 }: PublishableRelease, wanted: Set<string>): Promise<void> {
    for (const file of descriptor.files) {
      const missing = file.chunks.some((sha256) => !this.#chunks.has(sha256));
      if (missing) {
        let index = 0;
        for await (const bytes of this.#objects.pieces(file.sha256, chunkLayout(file))) {
          this.#publishChunk(file.chunks[index], bytes);
          index += 1;
        }
      }
      for (const sha256 of file.chunks) wanted.add(sha256);
    }
    if (!this.#chunks.has(descriptorSha256))
      this.#publishChunk(descriptorSha256, await this.#objects.get(descriptorSha256));
    wanted.add(descriptorSha256);
  }

  #publishChunk(sha256: string, bytes: Buffer): void {
    if (this.#chunks.has(sha256)) return;
    this.#broker.publish(chunkTopic(sha256), bytes, DELIVERY.chunks);
    this.#chunks.add(sha256);
  }

  /** The index comes last: what it names is there. */
  #publishMetadata(): void {
    const topics = new Set<string>();
    for (const { role, version, bytes } of this.#targets.metadata()) {
      const topic = tufTopic(role, role === 'timestamp' ? null : version);
      topics.add(topic);
      if (role === 'timestamp' || !this.#tufTopics.has(topic)) this.#broker.publish(topic, bytes, DELIVERY.tuf);
    }
    this.#broker.publish(TUF_INDEX_TOPIC, encodeMessage('tuf-index', this.#targets.versions()), DELIVERY['tuf-index']);
    for (const topic of this.#tufTopics) if (!topics.has(topic)) this.#broker.publish(topic, EMPTY, DELIVERY.tuf);
    this.#tufTopics = topics;
  }

  #publishDesired(desired: Desired): void {
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, desired, this.#signingKey);
    this.#broker.publish(
      deviceTopic(desired.deviceId, 'desired'),
      encodeMessage('desired', envelope),
      DELIVERY.desired,
    );
  }
}
