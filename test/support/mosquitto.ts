import { appendFileSync, writeFileSync } from 'node:fs';
import type { FleetBroker } from '../../benchmarks/src/fleet/real-fleet.js';
import { runCommand } from '../../benchmarks/src/rig/command.js';
import { fixedPorts } from '../../benchmarks/src/rig/free-port.js';
import type { ManagedProcess } from '../../benchmarks/src/rig/managed-process.js';
import { SERVER_CLI } from '../../benchmarks/src/rig/repository.js';
import type { Rig } from '../../benchmarks/src/rig/rig.js';
import { pause, waitFor } from '../../benchmarks/src/rig/wait.js';
import { portAnswers } from './port.js';

/** A real Mosquitto with mutual TLS, configured as docs/mosquitto.md says. */
export class Mosquitto implements FleetBroker {
  #rig: Rig | null = null;
  #process: ManagedProcess | null = null;
  #boards = 0;
  #servers = 0;
  #configure = async (..._args: string[]): Promise<void> => {};

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
    const options = ['--port', String(this.#boards), '--server-port', String(this.#servers)];
    this.#configure = async (...more) => {
      const args = [SERVER_CLI, 'broker-config', '--data', serverDirectory, '--out', rig.path('mosquitto')];
      await runCommand('vigie-server broker-config', process.execPath, [...args, ...more]);
    };
    await this.#configure(...options);
    // Started by root it would become another user, who may not look into the test's folder.
    if (process.getuid?.() === 0) appendFileSync(rig.path('mosquitto', 'mosquitto.conf'), '\nuser root\n');
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

  /** Brings the list of revoked certificates up to date, as docs/mosquitto.md says. */
  async reload(): Promise<void> {
    await this.#configure('--revoked-only');
    if (this.#process !== null) process.kill(this.#process.pid, 'SIGHUP');
  }

  async killAndRestart(): Promise<void> {
    await this.kill();
    await pause(1000);
    await this.start();
  }
}
