import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Certificate,
  CHUNK_BYTES,
  type ChunkReference,
  certificateTargetPath,
  chunkLayout,
  chunkTopic,
  DELIVERY,
  type Desired,
  deviceTopic,
  encodeMessage,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  releaseTargetPath,
} from '@vigie/protocol';
import type { Broker, ObjectStore, TargetEntry, TargetRepository } from '../ports.js';
import { MetadataTopics } from './metadata-topics.js';
import { cutIntoPieces, sha256 } from './pieces.js';
import { sealedByAll } from './sealed.js';
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
  /** The publisher's word, the TUF targets: every release that was not withdrawn. */
  listed(): Promise<PublishableRelease[]>;
  /** Those of them that a device is assigned to: their bytes are retained. */
  assigned(): Promise<PublishableRelease[]>;
  /** What gates or the default policy have certified, of released packages only: with one of these a board may install. */
  certificates(): Promise<Certificate[]>;
  /** Desired states of these devices, or of all. */
  desired(deviceIds?: readonly string[]): Promise<Desired[]>;
}

const EMPTY = Buffer.alloc(0);
/** Desired states that are signed in one turn of the event loop. */
const SIGNED_PER_TURN = 50;

/**
 * Keeps the broker's retained messages equal to the database. Bytes come before the metadata that names them, metadata
 * before the desired state that asks for it; what nobody needs any more goes last.
 */
export class Publication {
  readonly #source: PublicationSource;
  readonly #objects: ObjectStore;
  readonly #targets: TargetRepository;
  readonly #broker: Broker;
  readonly #metadata: MetadataTopics;
  readonly #serial = new Serial();
  /** Chunks on the wire. */
  #chunks = new Set<string>();
  /** Package digests of releases whose bytes, certificates and metadata are on the wire. */
  #ready: ReadonlySet<string> = new Set();
  /** Boards were told something since the wire was last compared with all that is assigned. */
  #untidy = false;
  /** Certificates and key lists that are in the object store: their sizes, bytes; and the pieces of what needs more than one. */
  readonly #stored = new Map<string, number>();
  readonly #pieces = new Map<string, ChunkReference[]>();

  /** `mayTakeOff`: is it this replica's turn to take chunks off the wire? */
  constructor(
    source: PublicationSource,
    objects: ObjectStore,
    targets: TargetRepository,
    broker: Broker,
    private readonly mayTakeOff: () => boolean = () => true,
  ) {
    this.#source = source;
    this.#objects = objects;
    this.#targets = targets;
    this.#broker = broker;
    this.#metadata = new MetadataTopics(targets, broker);
  }

  /** Publishes everything: after a start, and whenever the broker may have forgotten or hold what is older. */
  async publishAll(): Promise<void> {
    await this.#serial.run(async () => {
      const before = this.#chunks;
      this.#chunks = new Set();
      this.#metadata.forget();
      await this.#publish(undefined);
      for (const name of before) if (!this.#chunks.has(name)) this.#unpublishChunk(name);
    });
  }

  /**
   * After an assignment: bytes and metadata, then the desired states of these devices. A rollout calls it at every step, so
   * releases that are on the wire already are not looked at again; what nobody needs any more then goes with `tidy`.
   */
  async publishDesired(deviceIds: readonly string[]): Promise<void> {
    await this.#serial.run(async () => {
      const desired = await this.#source.desired(deviceIds);
      // Another replica may have taken bytes off whose turn it was before: who has the turn now knows what is there.
      const isThere = ({ release }: Desired) => release === null || this.#ready.has(release.digest);
      if (!this.mayTakeOff() || !desired.every(isThere)) {
        await this.#publish(deviceIds);
        return;
      }
      await this.#publishAllDesired(desired);
      this.#untidy = true;
    });
  }

  /** Takes bytes off the wire that assignments since the last look left without a board. */
  async tidy(): Promise<void> {
    if (this.#untidy) await this.publishReleases();
  }

  /** After an upload, a withdrawal or a gate's verdict: targets, certificates and bytes as the database has them now. */
  async publishReleases(): Promise<void> {
    await this.#serial.run(() => this.#publish([]));
  }

  /** Takes over what other replicas published as metadata, and publishes it as well: the broker ends with the newest. */
  async follow(): Promise<void> {
    if (await this.#targets.isBehind()) await this.changeTrust(() => this.#targets.refresh());
  }

  /** What an external broker may have lost, or got in the wrong order from two replicas: all that is small, and these desired states. */
  async reconcile(unconfirmed: readonly string[]): Promise<void> {
    await this.#serial.run(async () => {
      await this.#publish(unconfirmed);
      this.#metadata.publish();
    });
  }

  /** Signs anew what expires, and publishes it. */
  async renew(): Promise<void> {
    await this.changeTrust(() => this.#targets.renew());
  }

  /** Runs a change of the repository while nothing else changes it; publishes metadata when it says that there is some. */
  async changeTrust(change: () => Promise<boolean>): Promise<void> {
    await this.#serial.run(async () => {
      if (!(await change())) return;
      await this.#publishServerKeys();
      this.#metadata.publish();
    });
  }

  /** Is this release in the published targets? False while people must sign. */
  isPublished({ name, version }: { name: string; version: string }): boolean {
    return this.#targets.isPublished(releaseTargetPath(name, version));
  }

  /** Bytes that the metadata would take with this release added, about. */
  sizeWith(name: string, version: string, descriptor: Buffer): number {
    const path = releaseTargetPath(name, version);
    const hash = sha256(descriptor);
    const chunks =
      descriptor.length > CHUNK_BYTES ? cutIntoPieces(descriptor).map(({ reference }) => reference) : undefined;
    const certificate = { path: certificateTargetPath(hash), length: CHUNK_BYTES, sha256: hash };
    return this.#targets.sizeWith({
      releases: [{ path, length: descriptor.length, sha256: hash, ...(chunks === undefined ? {} : { chunks }) }],
      certificates: [certificate],
    });
  }

  /** Size of a certificate or key list, which boards may have by HTTPS, too; null: the name is of neither. Bytes. */
  smallTarget(hash: string): number | null {
    return this.#stored.get(hash) ?? null;
  }

  /** Certificates and key lists that this process put into the object store: the garbage collector leaves them. */
  storedTargets(): Iterable<string> {
    return this.#stored.keys();
  }

  /** Chunks on the wire now. */
  get chunkCount(): number {
    return this.#chunks.size;
  }

  async idle(): Promise<void> {
    await this.#serial.idle();
  }

  async #publish(deviceIds: readonly string[] | undefined): Promise<void> {
    // Until this has gone through, nothing counts as being on the wire.
    this.#ready = new Set();
    const listed = await this.#source.listed();
    const assigned = await this.#source.assigned();
    const wanted = new Set<string>();
    const releases: TargetEntry[] = [];
    for (const { name, version, descriptorSha256, descriptorBytes } of listed) {
      const path = releaseTargetPath(name, version);
      releases.push(await this.#entry(path, descriptorSha256, descriptorBytes));
    }
    const certificates = new Map<string, TargetEntry>();
    for (const certificate of await this.#source.certificates())
      certificates.set(certificate.digest, await this.#storeCertificate(certificate));
    for (const release of assigned) {
      await this.#publishFiles(release, wanted);
      const path = releaseTargetPath(release.name, release.version);
      await this.#publishTarget(await this.#entry(path, release.descriptorSha256, release.descriptorBytes), wanted);
      const certificate = certificates.get(release.descriptor.digest);
      if (certificate !== undefined) await this.#publishTarget(certificate, wanted);
    }
    const changed = await this.#targets.publishListing({ releases, certificates: [...certificates.values()] });
    wanted.add(await this.#publishServerKeys());
    if (changed || this.#metadata.isEmpty) this.#metadata.publish();
    if (deviceIds?.length !== 0) {
      await this.#publishAllDesired(await this.#source.desired(deviceIds));
    }
    for (const name of this.#chunks) if (!wanted.has(name)) this.#unpublishChunk(name);
    this.#ready = new Set(assigned.map(({ descriptor }) => descriptor.digest));
    this.#untidy = false;
  }

  /** Adds a release's chunks to `wanted`; reads and publishes only those that are not on the wire. */
  async #publishFiles({ descriptor }: PublishableRelease, wanted: Set<string>): Promise<void> {
    for (const file of descriptor.files) {
      const missing = file.chunks.some((name) => !this.#chunks.has(name));
      if (missing) {
        let index = 0;
        for await (const bytes of this.#objects.pieces(file.sha256, chunkLayout(file))) {
          this.#publishChunk(file.chunks[index], bytes);
          index += 1;
        }
      }
      for (const name of file.chunks) wanted.add(name);
    }
  }

  /** How targets list an object: with the pieces it travels in, where it is larger than one. */
  async #entry(path: string, hash: string, length: number): Promise<TargetEntry> {
    if (length <= CHUNK_BYTES) return { path, length, sha256: hash };
    let chunks = this.#pieces.get(hash);
    if (chunks === undefined) {
      chunks = cutIntoPieces(await this.#objects.get(hash)).map(({ reference }) => reference);
      this.#pieces.set(hash, chunks);
    }
    return { path, length, sha256: hash, chunks };
  }

  async #publishTarget({ sha256: hash, chunks }: TargetEntry, wanted: Set<string>): Promise<void> {
    const names = chunks?.map((chunk) => chunk.sha256) ?? [hash];
    if (names.some((name) => !this.#chunks.has(name))) {
      const bytes = await this.#objects.get(hash);
      if (chunks === undefined) this.#publishChunk(hash, bytes);
      else for (const piece of cutIntoPieces(bytes)) this.#publishChunk(piece.reference.sha256, piece.bytes);
    }
    for (const name of names) wanted.add(name);
  }

  async #storeCertificate(certificate: Certificate): Promise<TargetEntry> {
    const bytes = Buffer.from(JSON.stringify(certificate));
    const hash = sha256(bytes);
    await this.#store(hash, bytes);
    return this.#entry(certificateTargetPath(certificate.digest), hash, bytes.length);
  }

  /** The list of the keys of desired states, for boards that have none to install, too. */
  async #publishServerKeys(): Promise<string> {
    const { sha256: hash, bytes } = this.#targets.serverKeys();
    await this.#store(hash, bytes);
    this.#publishChunk(hash, bytes);
    return hash;
  }

  async #store(hash: string, bytes: Buffer): Promise<void> {
    if (this.#stored.has(hash)) return;
    await this.#objects.put(hash, bytes);
    this.#stored.set(hash, bytes.length);
  }

  #publishChunk(name: string, bytes: Buffer): void {
    if (this.#chunks.has(name)) return;
    this.#broker.publish(chunkTopic(name), bytes, DELIVERY.chunks);
    this.#chunks.add(name);
  }

  #unpublishChunk(name: string): void {
    // Another replica may want just now what was not wanted a moment ago: one of them alone decides, and looks again later.
    if (this.mayTakeOff()) this.#broker.publish(chunkTopic(name), EMPTY, DELIVERY.chunks);
    this.#chunks.delete(name);
  }

  /** Signing takes a tenth of a millisecond: after some of them others have their turn. */
  async #publishAllDesired(desired: readonly Desired[]): Promise<void> {
    for (const [index, one] of desired.entries()) {
      if (index > 0 && index % SIGNED_PER_TURN === 0) await nextTurn();
      this.#publishDesired(one);
    }
  }

  #publishDesired(desired: Desired): void {
    const envelope = sealedByAll(PAYLOAD_TYPE.desired, desired, this.#targets.desiredKeys());
    this.#broker.publish(
      deviceTopic(desired.deviceId, 'desired'),
      encodeMessage('desired', envelope),
      DELIVERY.desired,
    );
  }
}
