import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key, Metadata, MetaFile, Root, Signature, Snapshot, TargetFile, Targets, Timestamp } from '@tufjs/models';
import { chunksOf, describePackage } from '@vigie/models/package/descriptor';
import { openPackageDirectory } from '@vigie/models/package/package';
import {
  ANY_HARDWARE_CLASS,
  CERTIFIED_PATHS,
  type Certificate,
  certificateTargetPath,
  chunkTopic,
  type Desired,
  deviceTopic,
  type Event,
  encodeMessage,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  type ReleaseReference,
  type Reported,
  releaseTargetPath,
  sealEnvelope,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { Aedes } from 'aedes';
import { afterAll } from 'vitest';
import type { Identity } from '../src/io/identity.js';
import { TestAuthority } from './test-authority.js';

/** What an identity is made of where no TLS is spoken: the broker of these tests is a plain one on loopback. */
const authority = await TestAuthority.create();
const credentials = await authority.device('board-1');

const scratch: string[] = [];
afterAll(() => {
  for (const folder of scratch) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the test file has ended. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vigie-test-'));
  scratch.push(folder);
  return folder;
}

/** Awaits a condition; says what was awaited when it does not come. */
export async function until<T>(
  what: string,
  look: () => T | undefined | null | false,
  deadlineMs = 15_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > end) throw new Error(`awaited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A real broker on loopback. */
export class TestBroker {
  readonly published: { topic: string; payload: Buffer; clientId: string }[] = [];
  readonly subscribed: string[] = [];
  /** Topics whose subscription is refused with 128. */
  readonly refused = new Set<string>();

  private constructor(
    readonly aedes: Aedes,
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async start(port = 0): Promise<TestBroker> {
    const aedes = await Aedes.createBroker();
    const server = createServer({ noDelay: true }, aedes.handle);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const broker = new TestBroker(aedes, server, (server.address() as { port: number }).port);
    aedes.authorizeSubscribe = (_client, subscription, done) => {
      broker.subscribed.push(subscription.topic);
      done(null, broker.refused.has(subscription.topic) ? null : subscription);
    };
    aedes.on('publish', (packet, client) => {
      if (client !== null) {
        broker.published.push({ topic: packet.topic, payload: Buffer.from(packet.payload), clientId: client.id });
      }
    });
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  retain(topic: string, payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.aedes.publish(
        { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: true, dup: false },
        (error) => (error ? reject(error) : resolve()),
      );
    });
  }

  send(topic: string, payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.aedes.publish(
        { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false },
        (error) => (error ? reject(error) : resolve()),
      );
    });
  }

  /** Cuts every connection. */
  cut(): void {
    for (const client of Object.values(
      (this.aedes as unknown as { clients: Record<string, { conn: { destroy(): void } }> }).clients,
    )) {
      client.conn.destroy();
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.aedes.close(() => resolve()));
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

interface Pair {
  privateKey: KeyObject;
  key: Key;
}

function pair(): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
  const keyID = createHash('sha256').update(raw).digest('hex');
  return { privateKey, key: new Key({ keyID, keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: raw } }) };
}

const HOUR = 3_600_000;

/** A publisher and server in little: TUF metadata, chunks and desired states on a broker. */
export class TestFleet {
  readonly keys = { root: pair(), targets: pair(), snapshot: pair(), timestamp: pair() };
  /** The gate's key: the delegated role `certified`. */
  readonly gate = pair();
  readonly server = generateKeyPairSync('ed25519');
  readonly releases = new Map<string, { descriptor: ReleaseDescriptor; bytes: Buffer }>();
  /** Certificates by target path. */
  readonly certificates = new Map<string, Buffer>();
  /** Further targets of the publisher by path. */
  readonly others = new Map<string, Buffer>();
  version = 0;
  timestampExpires = new Date(Date.now() + HOUR);
  /** Who signs targets; another pair plays the forger. */
  targetsSigner = this.keys.targets;
  private readonly rootText: string;

  constructor(
    readonly broker: TestBroker,
    readonly deviceId = 'board-1',
  ) {
    const signed = new Root({
      version: 1,
      specVersion: '1.0.31',
      expires: new Date(Date.now() + 1000 * HOUR).toISOString(),
      consistentSnapshot: true,
    });
    for (const [role, { key }] of Object.entries(this.keys)) signed.addKey(key, role);
    this.rootText = this.seal(new Metadata(signed), this.keys.root).toString();
  }

  get identity(): Identity {
    return {
      deviceId: this.deviceId,
      ...credentials,
      authorities: [authority.certificate],
      mqtt: { url: this.broker.url },
      https: { url: 'https://127.0.0.1:9' },
      serverKeys: [this.server.publicKey.export({ type: 'spki', format: 'pem' }).toString()],
      tufRoot: this.rootText,
      hardwareClass: 'generic-x64',
      enrolledAt: new Date().toISOString(),
    };
  }

  /** Lists a package folder as a release, and puts its chunks on the broker unless told not to. */
  async publish(
    directory: string,
    options: { chunks?: boolean; change?: (d: ReleaseDescriptor) => void; classes?: string[] } = {},
  ): Promise<ReleaseReference> {
    const open = await openPackageDirectory(directory);
    const descriptor = await describePackage(open, (path) => readFile(join(directory, path)));
    options.change?.(descriptor);
    const bytes = Buffer.from(JSON.stringify(descriptor));
    const { name, version, digest } = descriptor;
    this.releases.set(releaseTargetPath(name, version), { descriptor, bytes });
    await this.broker.retain(chunkTopic(sha256(bytes)), bytes);
    await this.certify(digest, options.classes ?? [ANY_HARDWARE_CLASS]);
    if (options.chunks !== false) {
      for (const { path } of descriptor.files) {
        for (const chunk of chunksOf(await readFile(join(directory, path)))) {
          await this.broker.retain(chunkTopic(chunk.sha256), chunk.bytes);
        }
      }
    }
    await this.republish();
    return { name, version, digest };
  }

  /** Grants classes to a package, in place of what it had; published with the next metadata. */
  async certify(digest: string, classes: readonly string[]): Promise<void> {
    const certificate: Certificate = {
      digest,
      grants: classes.map((hardwareClass) => ({
        hardwareClass,
        policy: 'default-policy',
        measured: {},
        grantedAt: new Date().toISOString(),
      })),
    };
    const bytes = Buffer.from(JSON.stringify(certificate));
    this.certificates.set(certificateTargetPath(digest), bytes);
    await this.broker.retain(chunkTopic(sha256(bytes)), bytes);
  }

  /** Lists another target of the publisher with its bytes on the broker; published with the next metadata. */
  async addTarget(path: string, bytes: Buffer): Promise<void> {
    this.others.set(path, bytes);
    await this.broker.retain(chunkTopic(sha256(bytes)), bytes);
  }

  /** Signs and publishes metadata of the present releases with versions one higher. */
  async republish(version = this.version + 1): Promise<void> {
    this.version = version;
    const common = { version, specVersion: '1.0.31' };
    const later = new Date(Date.now() + HOUR).toISOString();
    const releases = [...this.releases].map(([path, { bytes }]) => [path, bytes] as const);
    const { keyID } = this.gate.key;
    const listed = Targets.fromJSON({
      ...{ version, spec_version: '1.0.31', expires: later, targets: {} },
      delegations: {
        keys: { [keyID]: this.gate.key.toJSON() },
        roles: [{ name: 'certified', keyids: [keyID], threshold: 1, terminating: true, paths: [CERTIFIED_PATHS] }],
      },
    });
    for (const file of Object.values(targetFiles([...releases, ...this.others]))) listed.addTarget(file);
    const targets = this.seal(new Metadata(listed), this.targetsSigner);
    const certified = this.seal(
      new Metadata(new Targets({ ...common, expires: later, targets: targetFiles([...this.certificates]) })),
      this.gate,
    );
    const snapshot = this.seal(
      new Metadata(
        new Snapshot({
          ...common,
          expires: later,
          meta: {
            'targets.json': new MetaFile({ version, length: targets.length, hashes: { sha256: sha256(targets) } }),
            'certified.json': new MetaFile({
              version,
              length: certified.length,
              hashes: { sha256: sha256(certified) },
            }),
          },
        }),
      ),
      this.keys.snapshot,
    );
    const timestamp = this.seal(
      new Metadata(
        new Timestamp({
          ...common,
          expires: this.timestampExpires.toISOString(),
          snapshotMeta: new MetaFile({ version, length: snapshot.length, hashes: { sha256: sha256(snapshot) } }),
        }),
      ),
      this.keys.timestamp,
    );
    await this.broker.retain(tufTopic('root', 1), Buffer.from(this.rootText));
    await this.broker.retain(tufTopic('targets', version), targets);
    await this.broker.retain(tufTopic('certified', version), certified);
    await this.broker.retain(tufTopic('snapshot', version), snapshot);
    await this.broker.retain(tufTopic('timestamp', null), timestamp);
    const index = { root: 1, timestamp: version, snapshot: version, targets: version, certified: version };
    await this.broker.retain(TUF_INDEX_TOPIC, encodeMessage('tuf-index', index));
  }

  /** Publishes a desired state; `key` other than the server's plays the forger, `to` another board's topic. */
  async assign(
    release: ReleaseReference | null,
    generation: number,
    more: Partial<Desired> = {},
    key: KeyObject = this.server.privateKey,
  ): Promise<void> {
    const desired: Desired = {
      deviceId: this.deviceId,
      generation,
      issuedAt: new Date().toISOString(),
      release,
      ...more,
    };
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, desired, key);
    await this.broker.retain(deviceTopic(this.deviceId, 'desired'), encodeMessage('desired', envelope));
  }

  /** Everything the board reported, oldest first. */
  get reports(): Reported[] {
    return this.messages('reported') as Reported[];
  }

  get events(): Event[] {
    return this.messages('events') as Event[];
  }

  /** The newest report that fulfils a condition. */
  report(what: string, matches: (reported: Reported) => boolean): Promise<Reported> {
    return until(what, () => this.reports.findLast(matches)).catch((error: Error) => {
      throw new Error(`${error.message}; last report: ${JSON.stringify(this.reports.at(-1))}`);
    });
  }

  ack(bootId: string, sequence: number): Promise<void> {
    return this.broker.send(deviceTopic(this.deviceId, 'acks'), encodeMessage('acks', { bootId, sequence }));
  }

  private messages(kind: 'reported' | 'events'): unknown[] {
    const topic = deviceTopic(this.deviceId, kind);
    return this.broker.published
      .filter((packet) => packet.topic === topic)
      .map((packet) => JSON.parse(packet.payload.toString()));
  }

  private seal(metadata: Metadata<Root | Targets | Snapshot | Timestamp>, { privateKey, key }: Pair): Buffer {
    metadata.sign((data) => new Signature({ keyID: key.keyID, sig: sign(null, data, privateKey).toString('hex') }));
    return Buffer.from(JSON.stringify(metadata.toJSON()));
  }
}

function targetFiles(entries: readonly (readonly [string, Buffer])[]): Record<string, TargetFile> {
  return Object.fromEntries(
    entries.map(([path, bytes]) => [
      path,
      new TargetFile({ path, length: bytes.length, hashes: { sha256: sha256(bytes) } }),
    ]),
  );
}

/** A signer whose key no root names, under the key id of the real one: a forged signature, not an unknown one. */
export function forger(real: Pair): Pair {
  return { privateKey: generateKeyPairSync('ed25519').privateKey, key: real.key };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
