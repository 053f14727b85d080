import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './postgres-cluster.js';
import { runCli, temporaryFolder, until } from './server-fixture.js';

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
    const ports = ['--port', String(broker.boardsPort), '--server-port', String(broker.serversPort)];
    const args = ['broker-config', '--data', dataDirectory, '--out', broker.folder, ...ports];
    const { code, stderr } = await runCli('server-cli.js', args);
    if (code !== 0) throw new Error(stderr);
    // Started by root Mosquitto would become another user, who may not read this folder.
    if (process.getuid?.() === 0) await appendFile(join(broker.folder, 'mosquitto.conf'), '\nuser root\n');
    await broker.boot();
    return broker;
  }

  /** What the server's configuration says of it. */
  get settings(): Record<string, unknown> {
    return {
      mqtt: { broker: { url: `mqtts://localhost:${this.serversPort}` }, port: 0 },
      mqtts: { publicUrl: `mqtts://localhost:${this.boardsPort}`, port: 0 },
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
