import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetBroker } from '../../benchmarks/src/fleet/real-fleet.js';
import { fixedPorts } from '../../benchmarks/src/rig/free-port.js';
import type { ManagedProcess } from '../../benchmarks/src/rig/managed-process.js';
import type { Rig } from '../../benchmarks/src/rig/rig.js';
import { pause, waitFor } from '../../benchmarks/src/rig/wait.js';
import { Authority } from '../../fleet-server/src/io/pki/authority.js';
import { newKeyPair, privateKeyPem } from '../../fleet-server/src/io/pki/x509-library.js';
import { portAnswers } from './port.js';

/** A real Mosquitto with mutual TLS, configured as docs/mosquitto.md says. */
export class Mosquitto implements FleetBroker {
  #rig: Rig | null = null;
  #process: ManagedProcess | null = null;
  #boards = 0;
  #servers = 0;
  #revocations = '';

  /** Where boards connect. */
  get boardsUrl(): string {
    return `mqtts://localhost:${this.#boards}`;
  }

  get serversUrl(): string {
    return `mqtts://localhost:${this.#servers}`;
  }

  async begin(rig: Rig, serverDirectory: string): Promise<string[]> {
    this.#rig = rig;
    [this.#boards, this.#servers] = await fixedPorts(2);
    const directory = rig.path('mosquitto');
    mkdirSync(directory, { recursive: true });
    const now = new Date();
    const authority = await Authority.open(join(serverDirectory, 'pki'));
    const keys = await newKeyPair();
    const { pem } = await authority.issueServer(['localhost', '127.0.0.1'], keys.publicKey, 397, now);
    writeFileSync(join(directory, 'ca.pem'), authority.certificate);
    writeFileSync(join(directory, 'broker.pem'), pem);
    writeFileSync(join(directory, 'broker.key'), await privateKeyPem(keys.privateKey), { mode: 0o600 });
    writeFileSync(join(directory, 'acl'), ACL);
    this.#revocations = join(serverDirectory, 'pki', 'revoked.pem');
    // The server writes it at each start; the broker wants it before.
    if (!existsSync(this.#revocations)) writeFileSync(this.#revocations, await authority.revocationList([], now));
    writeFileSync(join(directory, 'mosquitto.conf'), this.#configuration(directory));
    const config = rig.path('server.yaml');
    writeFileSync(config, `mqtt:\n  broker:\n    url: ${this.serversUrl}\nmqtts:\n  publicUrl: ${this.boardsUrl}\n`);
    await this.start();
    return ['--config', config];
  }

  async start(): Promise<void> {
    const rig = this.#rig as Rig;
    const broker = rig.start({
      name: 'mosquitto',
      command: 'mosquitto',
      args: ['-c', rig.path('mosquitto', 'mosquitto.conf')],
    });
    this.#process = broker;
    await waitFor('mosquitto to listen', () => portAnswers(this.#boards), {
      timeoutMs: 10_000,
      guard: () => broker.assertRunning(),
    });
  }

  async kill(): Promise<void> {
    const broker = this.#process;
    if (broker === null) return;
    process.kill(broker.pid, 'SIGKILL');
    await waitFor('mosquitto to be gone', () => !broker.running, { timeoutMs: 10_000, everyMs: 10 });
  }

  /** Reads certificates and the revocation list again: `systemctl reload mosquitto`. */
  reload(): void {
    if (this.#process !== null) process.kill(this.#process.pid, 'SIGHUP');
  }

  async killAndRestart(): Promise<void> {
    await this.kill();
    await pause(1000);
    await this.start();
  }

  #configuration(directory: string): string {
    const tls = (port: number): string[] => [
      `listener ${port} 127.0.0.1`,
      `cafile ${join(directory, 'ca.pem')}`,
      `certfile ${join(directory, 'broker.pem')}`,
      `keyfile ${join(directory, 'broker.key')}`,
      `crlfile ${this.#revocations}`,
      'require_certificate true',
      'use_identity_as_username true',
    ];
    return [
      // Started by root it would become another user, who may not look into the test's folder.
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      'persistence true',
      `persistence_location ${directory}/`,
      'max_queued_messages 100000',
      `acl_file ${join(directory, 'acl')}`,
      'allow_anonymous false',
      // Boards: the client id is the name in the certificate, so that none can take another's session over.
      ...tls(this.#boards),
      'use_username_as_clientid true',
      // The fleet server, which has several connections.
      ...tls(this.#servers),
      '',
    ].join('\n');
  }
}

const ACL = `user vigie-server
topic readwrite vigie/v1/#

pattern write vigie/v1/devices/%u/reported
pattern write vigie/v1/devices/%u/presence
pattern write vigie/v1/devices/%u/telemetry
pattern write vigie/v1/devices/%u/events
pattern write vigie/v1/devices/%u/snapshots/+
pattern write vigie/v1/devices/%u/replies
pattern read vigie/v1/devices/%u/desired
pattern read vigie/v1/devices/%u/commands
pattern read vigie/v1/devices/%u/acks
pattern read vigie/v1/tuf/#
pattern read vigie/v1/chunks/+
`;
