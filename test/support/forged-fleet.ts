import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { chunksOf, describePackage } from '@vigie/models/package/descriptor';
import { sha256Hex } from '@vigie/models/package/digest';
import { openPackageDirectory } from '@vigie/models/package/package';
import {
  ANY_HARDWARE_CLASS,
  chunkTopic,
  type Desired,
  decodeMessage,
  deviceTopic,
  type EnrollResponse,
  encodeMessage,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  type Reported,
  releaseTargetPath,
  sealEnvelope,
} from '@vigie/protocol';
import { Aedes } from 'aedes';
import { ForgedTuf, forgeCertificate, forgeServerKeys, type TufLie } from './forged-tuf.js';

export interface ForgedRelease {
  descriptor: ReleaseDescriptor;
  /** SHA-256 of every chunk of its files. */
  chunks: string[];
}

/**
 * A fleet in the test's own hands: a broker, TUF metadata and signed desired states, written to the wire contract and
 * not by the fleet server, so that it can lie as no server of ours would. A board enrols over HTTP as with the real one.
 */
export class ForgedFleet {
  readonly reports: Reported[] = [];
  /** Messages of the board that break the wire contract. */
  readonly violations: string[] = [];
  readonly #broker: Aedes;
  readonly #sockets: Server;
  readonly #http: HttpServer;
  readonly tuf = new ForgedTuf();
  /** Signs desired states; the board knows it from its enrolment. */
  #desiredKey: KeyObject;
  readonly #enrolledKey: KeyObject;
  readonly #chunks = new Map<string, Buffer>();
  #generation = 0;

  private constructor(broker: Aedes) {
    this.#broker = broker;
    this.#sockets = createServer(broker.handle);
    this.#http = createHttpServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.#enrolment()));
    });
    this.#desiredKey = generateKeyPairSync('ed25519').privateKey;
    this.#enrolledKey = this.#desiredKey;
    broker.on('publish', (packet, client) => {
      if (client === null || packet.topic !== deviceTopic(this.deviceId, 'reported')) return;
      const decoded = decodeMessage('reported', packet.payload as Buffer);
      if (decoded.ok) this.reports.push(decoded.message);
      else this.violations.push(`${decoded.code}: ${decoded.detail}`);
    });
  }

  readonly deviceId = 'forged-board';

  static async start(): Promise<ForgedFleet> {
    const fleet = new ForgedFleet(await Aedes.createBroker());
    for (const server of [fleet.#sockets, fleet.#http]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    await fleet.publishTuf();
    return fleet;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Puts a package (a folder) on offer: chunks, descriptor, target, and the gate's certificate for these classes. */
  async publish(directory: string, classes: readonly string[] = [ANY_HARDWARE_CLASS]): Promise<ForgedRelease> {
    const open = await openPackageDirectory(directory);
    const descriptor = await describePackage(open, (path) => readFile(join(directory, path)));
    const chunks: string[] = [];
    for (const { path } of descriptor.files) {
      for (const { bytes } of chunksOf(await readFile(join(directory, path)))) chunks.push(await this.#putChunk(bytes));
    }
    const path = releaseTargetPath(descriptor.name, descriptor.version);
    await this.#list(this.tuf.targets, { path, bytes: Buffer.from(JSON.stringify(descriptor)) });
    await this.#list(this.tuf.certificates, forgeCertificate(descriptor.digest, classes));
    await this.publishTuf();
    return { descriptor, chunks };
  }

  /** Replaces a retained chunk by one with its middle byte changed. */
  async corruptChunk(sha256: string): Promise<void> {
    const bytes = Buffer.from(this.#chunks.get(sha256)!);
    bytes[bytes.length >> 1] ^= 1;
    await this.#retain(chunkTopic(sha256), bytes);
  }

  /** Puts the true bytes of another chunk in a chunk's place. */
  async swapChunk(sha256: string, other: string): Promise<void> {
    await this.#retain(chunkTopic(sha256), this.#chunks.get(other)!);
  }

  /** Takes a package's certificate from the gate; the publisher lists one himself or not. */
  async uncertify(digest: string, byPublisher: boolean): Promise<void> {
    const certificate = forgeCertificate(digest, [ANY_HARDWARE_CLASS]);
    delete this.tuf.certificates[certificate.path];
    if (byPublisher) await this.#list(this.tuf.targets, certificate);
    else delete this.tuf.targets[certificate.path];
    await this.publishTuf();
  }

  /** Another key signs desired states from now on, and the publisher lists only that one; returns the old key. */
  async replaceDesiredKey(): Promise<KeyObject> {
    const old = this.#desiredKey;
    this.#desiredKey = generateKeyPairSync('ed25519').privateKey;
    await this.#list(this.tuf.targets, forgeServerKeys([publicPem(this.#desiredKey)]));
    await this.publishTuf();
    return old;
  }

  /** Puts the true chunk back. */
  async mendChunk(sha256: string): Promise<void> {
    await this.#retain(chunkTopic(sha256), this.#chunks.get(sha256)!);
  }

  /** New versions of targets, certificates, snapshot and timestamp, honest or not. */
  async publishTuf(lie: TufLie = {}): Promise<void> {
    for (const [topic, bytes] of this.tuf.publish(lie)) await this.#retain(topic, bytes);
  }

  /** Publishes a desired state (null: leave it as it is), by default signed as it must be; returns its generation. */
  async desire(
    release: ReleaseDescriptor | null,
    options: { signer?: KeyObject; retry?: boolean; deviceId?: string; generation?: number } = {},
  ): Promise<number> {
    if (options.generation === undefined) this.#generation += 1;
    const generation = options.generation ?? this.#generation;
    const desired: Desired = {
      deviceId: options.deviceId ?? this.deviceId,
      generation,
      issuedAt: new Date().toISOString(),
      release: release === null ? null : { name: release.name, version: release.version, digest: release.digest },
      ...(options.retry === undefined ? {} : { retry: options.retry }),
    };
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, desired, options.signer ?? this.#desiredKey);
    await this.#retain(deviceTopic(this.deviceId, 'desired'), encodeMessage('desired', envelope));
    return generation;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#broker.close(() => resolve()));
    await new Promise((resolve) => this.#sockets.close(resolve));
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #enrolment(): EnrollResponse {
    const { port } = this.#sockets.address() as AddressInfo;
    return {
      deviceId: this.deviceId,
      mqtt: { url: `mqtt://127.0.0.1:${port}`, username: this.deviceId, password: 'any will do on this broker' },
      serverKeys: [publicPem(this.#enrolledKey)],
      tufRoot: this.tuf.firstRoot,
    };
  }

  async #list(targets: ForgedTuf['targets'], { path, bytes }: { path: string; bytes: Buffer }): Promise<void> {
    targets[path] = { length: bytes.length, hashes: { sha256: await this.#putChunk(bytes) } };
  }

  async #putChunk(bytes: Buffer): Promise<string> {
    const sha256 = sha256Hex(bytes);
    this.#chunks.set(sha256, bytes);
    await this.#retain(chunkTopic(sha256), bytes);
    return sha256;
  }

  #retain(topic: string, payload: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#broker.publish({ cmd: 'publish', dup: false, topic, payload, qos: 1, retain: true }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }
}

function publicPem(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
}
