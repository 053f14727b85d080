import type { FleetClient } from '../clients/fleet-client.js';
import { type FleetServer, startServer } from '../rig/fleet-server.js';
import { Rig } from '../rig/rig.js';
import { pause } from '../rig/wait.js';
import { killHard } from './processes.js';

/** The fleet server under test: always the same folder and ports, a new process after each kill. */
export class ChaosServer {
  #server: FleetServer | null = null;
  #rig: Rig | null = null;
  /** False from a kill until it answers again. */
  up = false;

  constructor(
    private readonly root: string,
    private readonly directory: string,
    private readonly ports: { http: number; mqtt: number },
    private readonly adminToken: string,
  ) {}

  get client(): FleetClient {
    return this.#running.client;
  }

  get mqttUrl(): string {
    return this.#running.mqttUrl;
  }

  get httpsUrl(): string {
    return this.#running.httpsUrl;
  }

  get pid(): number {
    return this.#running.process.pid;
  }

  /** False once its process has ended, asked or not. */
  get running(): boolean {
    return this.#server?.process.running ?? false;
  }

  get lastWords(): string {
    return this.#server?.process.logTail(8).join(' | ') ?? '';
  }

  get #running(): FleetServer {
    if (this.#server === null) throw new Error('the server was never started');
    return this.#server;
  }

  async start(): Promise<void> {
    await this.#rig?.close();
    const rig = new Rig(this.root);
    this.#rig = rig;
    this.#server = await startServer(rig, this.directory, this.adminToken, this.ports);
    this.up = true;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.up = false;
    killHard(this.pid);
    while (this.running) await pause(5);
  }

  async stop(): Promise<void> {
    this.up = false;
    await this.#rig?.close();
  }
}
