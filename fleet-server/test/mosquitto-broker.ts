import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeBrokerConfig } from '@vigie/fleet-server/broker-config-command';
import { freePort } from './postgres-cluster.js';
import { temporaryFolder, until } from './until.js';

/** A real Mosquitto with what `vigie-server broker-config` writes for this data folder. */
export class MosquittoBroker {
  #process: ChildProcess | null = null;
  #log = '';

  private constructor(
    private readonly folder: string,
    private readonly boardsPort: number,
    private readonly serversPort: number,
  ) {}

  static async start(dataDirectory: string): Promise<MosquittoBroker> {
    const broker = new MosquittoBroker(join(await temporaryFolder(), 'broker'), await freePort(), await freePort());
    const { boardsPort: port, serversPort: serverPort, folder: out } = broker;
    const place = { name: [], serverHost: '127.0.0.1', revokedOnly: false, json: false };
    await writeBrokerConfig({ ...place, data: dataDirectory, out, port, serverPort });
    // Started by root Mosquitto would become another user, who may not read this folder.
    if (process.getuid?.() === 0) await appendFile(join(broker.folder, 'mosquitto.conf'), '\nuser root\n');
    await broker.boot();
    return broker;
  }

  /** Where boards connect. */
  get boardsUrl(): string {
    return `mqtts://localhost:${this.boardsPort}`;
  }

  /** What a client of the operator shows: the server's own certificate, on the listener that believes client ids. */
  async operator(): Promise<{ url: string; cert: string; key: string; ca: string }> {
    const file = (name: string) => readFile(join(this.folder, name), 'utf8');
    const [cert, key, ca] = await Promise.all(['vigie-server.pem', 'vigie-server.key', 'authority.pem'].map(file));
    return { url: `mqtts://localhost:${this.serversPort}`, cert, key, ca };
  }

  /** What the server's configuration says of it. */
  get settings(): Record<string, unknown> {
    return {
      mqtt: { broker: { url: `mqtts://localhost:${this.serversPort}` }, port: 0 },
      mqtts: { publicUrl: this.boardsUrl, port: 0 },
    };
  }

  async boot(): Promise<void> {
    const broker = spawn('mosquitto', ['-c', join(this.folder, 'mosquitto.conf')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = broker;
    const from = this.#log.length;
    for (const stream of [broker.stdout, broker.stderr]) stream?.on('data', (bytes) => (this.#log += bytes));
    await until('mosquitto to run', () => {
      if (broker.exitCode !== null) throw new Error(`mosquitto ended: ${this.#log}`);
      return this.#log.slice(from).includes('running');
    });
  }

  async kill(): Promise<void> {
    const broker = this.#process;
    this.#process = null;
    if (broker === null || broker.exitCode !== null || broker.signalCode !== null) return;
    const ended = once(broker, 'exit');
    broker.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(join(this.folder, '..'), { recursive: true, force: true });
  }
}
