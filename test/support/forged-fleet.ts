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
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { Aedes } from 'aedes';
import { TestAuthority } from '../../agent/test/test-authority.js';
import { metadataHead, newTufKey, signMetadata, type TufKey } from './tuf-forge.js';

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
  readonly #desiredKey: KeyObject;
  readonly #keys: Record<'root' | 'targets' | 'snapshot' | 'timestamp', TufKey>;
  readonly #targets: Record<string, { length: number; hashes: { sha256: string } }> = {};
  readonly #chunks = new Map<string, Buffer>();
  #version = 0;
  #generation = 0;

  private constructor(broker: Aedes, authority: TestAuthority, server: { key: string; cert: string }) {
    this.#broker = broker;
    this.#authority = authority;
    const tls = { ...server, ca: authority.certificate, requestCert: true };
    this.#sockets = createTlsServer({ ...tls, rejectUnauthorized: true }, broker.handle);
    this.#https = createHttpsServer({ ...tls, rejectUnauthorized: false }, (request, response) => {
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
    this.#keys = { root: newTufKey(), targets: newTufKey(), snapshot: newTufKey(), timestamp: newTufKey() };
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

  /** Puts a package (a folder) on offer: chunks, descriptor, target. */
  async publish(directory: string): Promise<ForgedRelease> {
    const open = await openPackageDirectory(directory);
    const descriptor = await describePackage(open, (path) => readFile(join(directory, path)));
    const chunks: string[] = [];
    for (const { path } of descriptor.files) {
      for (const { bytes } of chunksOf(await readFile(join(directory, path)))) chunks.push(await this.#putChunk(bytes));
    }
    const text = Buffer.from(JSON.stringify(descriptor));
    const sha256 = await this.#putChunk(text);
    this.#targets[releaseTargetPath(descriptor.name, descriptor.version)] = { length: text.length, hashes: { sha256 } };
    await this.publishTuf();
    return { descriptor, chunks };
  }

  /** Replaces a retained chunk by one with its middle byte changed. */
  async corruptChunk(sha256: string): Promise<void> {
    const bytes = Buffer.from(this.#chunks.get(sha256)!);
    bytes[bytes.length >> 1] ^= 1;
    await this.#retain(chunkTopic(sha256), bytes);
  }

  /** Puts the true chunk back. */
  async mendChunk(sha256: string): Promise<void> {
    await this.#retain(chunkTopic(sha256), this.#chunks.get(sha256)!);
  }

  /** New versions of targets, snapshot and timestamp. With `targetsSigner` a foreign key signs targets in the true key's name. */
  async publishTuf({ targetsSigner }: { targetsSigner?: TufKey } = {}): Promise<void> {
    this.#version += 1;
    const version = this.#version;
    const { targets, snapshot, timestamp } = this.#keys;
    const signedTargets = { ...metadataHead('targets', version), targets: { ...this.#targets } };
    const bytes = {
      targets: signMetadata(signedTargets, targetsSigner ?? targets, targets.keyid),
      snapshot: signMetadata({ ...metadataHead('snapshot', version), meta: { 'targets.json': { version } } }, snapshot),
      timestamp: signMetadata(
        { ...metadataHead('timestamp', version), meta: { 'snapshot.json': { version } } },
        timestamp,
      ),
    };
    await this.#retain(tufTopic('root', 1), Buffer.from(this.#rootText()));
    await this.#retain(tufTopic('targets', version), bytes.targets);
    await this.#retain(tufTopic('snapshot', version), bytes.snapshot);
    await this.#retain(tufTopic('timestamp', null), bytes.timestamp);
    const index = { root: 1, timestamp: version, snapshot: version, targets: version };
    await this.#retain(TUF_INDEX_TOPIC, encodeMessage('tuf-index', index));
  }

  /** Publishes a desired state, by default signed as it must be; returns its generation. */
  async desire(release: ReleaseDescriptor, options: { signer?: KeyObject; retry?: boolean } = {}): Promise<number> {
    this.#generation += 1;
    const desired: Desired = {
      deviceId: this.deviceId,
      generation: this.#generation,
      issuedAt: new Date().toISOString(),
      release: { name: release.name, version: release.version, digest: release.digest },
      ...(options.retry === undefined ? {} : { retry: options.retry }),
    };
    const envelope = sealEnvelope(PAYLOAD_TYPE.desired, desired, options.signer ?? this.#desiredKey);
    await this.#retain(deviceTopic(this.deviceId, 'desired'), encodeMessage('desired', envelope));
    return this.#generation;
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
      serverKeys: [publicPem(this.#desiredKey)],
      tufRoot: this.#rootText(),
    };
  }

  #root: string | null = null;

  /** Root metadata is signed once: its bytes are what the board begins to trust from. */
  #rootText(): string {
    if (this.#root === null) {
      const keys = Object.values(this.#keys);
      const signed = {
        ...metadataHead('root', 1),
        consistent_snapshot: true,
        keys: Object.fromEntries(keys.map(({ keyid, entry }) => [keyid, entry])),
        roles: Object.fromEntries(
          Object.entries(this.#keys).map(([name, { keyid }]) => [name, { keyids: [keyid], threshold: 1 }]),
        ),
      };
      this.#root = signMetadata(signed, this.#keys.root).toString();
    }
    return this.#root;
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
