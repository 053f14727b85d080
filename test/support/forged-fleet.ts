import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type Server } from 'node:tls';
import { chunksOf, describePackage } from '@vigie/models/package/descriptor';
import { sha256Hex } from '@vigie/models/package/digest';
import { openPackageDirectory } from '@vigie/models/package/package';
import {
  ANY_HARDWARE_CLASS,
  chunkTopic,
  type Desired,
  decodeMessage,
  deviceTopic,
  type EnrollRequest,
  type EnrollResponse,
  encodeMessage,
  PAYLOAD_TYPE,
  type ReleaseDescriptor,
  type Reported,
  releaseTargetPath,
  sealEnvelope,
} from '@vigie/protocol';
import { Aedes } from 'aedes';
import { TestAuthority } from '../../agent/test/test-authority.js';
import { ForgedTuf, forgeCertificate, forgeServerKeys, type TufLie } from './forged-tuf.js';

export interface ForgedRelease {
  descriptor: ReleaseDescriptor;
  /** SHA-256 of every chunk of its files. */
  chunks: string[];
}

/**
 * A fleet in the test's own hands: a broker, TUF metadata and signed desired states, written to the wire contract and
 * not by the fleet server, so that it can lie as no server of ours would. A board enrols over HTTPS as with the real one.
 */
export class ForgedFleet {
  readonly reports: Reported[] = [];
  /** Messages of the board that break the wire contract. */
  readonly violations: string[] = [];
  readonly #broker: Aedes;
  readonly #sockets: Server;
  readonly #https: HttpsServer;
  readonly #authority: TestAuthority;
  readonly tuf = new ForgedTuf();
  /** Signs desired states; the board knows it from its enrolment. */
  #desiredKey: KeyObject;
  readonly #enrolledKey: KeyObject;
  readonly #chunks = new Map<string, Buffer>();
  #generation = 0;

  private constructor(broker: Aedes, authority: TestAuthority, server: { key: string; cert: string }) {
    this.#broker = broker;
    this.#authority = authority;
    const tls = { ...server, ca: authority.certificate, requestCert: true };
    this.#sockets = createTlsServer({ ...tls, rejectUnauthorized: true }, broker.handle);
    this.#https = createHttpsServer({ ...tls, rejectUnauthorized: false }, (request, response) => {
      // A board that hears nothing on a topic for a while asks here: this fleet knows the broker only.
      if (request.method !== 'POST' || request.url !== '/api/v1/enroll') {
        request.resume();
        response.writeHead(404).end();
        return;
      }
      let text = '';
      request.on('data', (bytes) => {
        text += bytes;
      });
      request.once('end', async () => {
        const { csr } = JSON.parse(text) as EnrollRequest;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(await this.#enrolment(csr)));
      });
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
    const authority = await TestAuthority.create();
    const fleet = new ForgedFleet(await Aedes.createBroker(), authority, await authority.server());
    for (const server of [fleet.#sockets, fleet.#https]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    await fleet.publishTuf();
    return fleet;
  }

  get httpsUrl(): string {
    return `https://127.0.0.1:${(this.#https.address() as AddressInfo).port}`;
  }

  /** Any secret will do here; by the fingerprint the board knows this fleet. */
  get token(): string {
    return `a-token-that-nobody-checks.${this.#authority.fingerprint}`;
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
    options: {
      signer?: KeyObject;
      retry?: boolean;
      deviceId?: string;
      generation?: number;
      trial?: Desired['trial'];
    } = {},
  ): Promise<number> {
    if (options.generation === undefined) this.#generation += 1;
    const generation = options.generation ?? this.#generation;
    const desired: Desired = {
      deviceId: options.deviceId ?? this.deviceId,
      generation,
      issuedAt: new Date().toISOString(),
      release: release === null ? null : { name: release.name, version: release.version, digest: release.digest },
      ...(options.retry === undefined ? {} : { retry: options.retry }),
      ...(options.trial === undefined ? {} : { trial: options.trial }),
    };
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, desired, options.signer ?? this.#desiredKey);
    await this.#retain(deviceTopic(this.deviceId, 'desired'), encodeMessage('desired', envelope));
    return generation;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#broker.close(() => resolve()));
    await new Promise((resolve) => this.#sockets.close(resolve));
    this.#https.closeAllConnections();
    await new Promise((resolve) => this.#https.close(resolve));
  }

  async #enrolment(csr: string): Promise<EnrollResponse> {
    const { port } = this.#sockets.address() as AddressInfo;
    return {
      deviceId: this.deviceId,
      certificate: await this.#authority.sign(this.deviceId, csr),
      authorities: [this.#authority.certificate],
      mqtt: { url: `mqtts://127.0.0.1:${port}` },
      https: { url: this.httpsUrl },
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
