import { readFileSync, writeFileSync } from 'node:fs';
import { runCommand } from '../../benchmarks/src/rig/command.js';
import { fixedPorts } from '../../benchmarks/src/rig/free-port.js';
import type { ManagedProcess } from '../../benchmarks/src/rig/managed-process.js';
import { SERVER_CLI } from '../../benchmarks/src/rig/repository.js';
import type { Rig } from '../../benchmarks/src/rig/rig.js';
import { waitFor } from '../../benchmarks/src/rig/wait.js';
import { portAnswers } from './port.js';

const NODES = ['n1', 'n2', 'n3'] as const;
/** The program, as docs/nats.md names its versions. */
export const NATS_SERVER = process.env.VIGIE_NATS_SERVER ?? 'nats-server';

export type NatsNodeName = (typeof NODES)[number];

/** A real cluster of three NATS nodes with JetStream, configured as docs/nats.md says. */
export class NatsCluster {
  readonly #processes = new Map<NatsNodeName, ManagedProcess>();
  readonly #ports = new Map<NatsNodeName, number>();
  readonly #monitors = new Map<NatsNodeName, number>();
  /** Of the fleet server on this cluster. */
  clientId = '';

  private constructor(
    private readonly rig: Rig,
    private readonly dataDirectory: string,
  ) {}

  /** Writes the files for the server of this data folder, and starts all nodes. */
  static async start(rig: Rig, dataDirectory: string): Promise<NatsCluster> {
    const cluster = new NatsCluster(rig, dataDirectory);
    const ports = await fixedPorts(NODES.length * 3);
    for (const [index, name] of NODES.entries()) {
      cluster.#ports.set(name, ports[index]);
      cluster.#monitors.set(name, ports[index + 2 * NODES.length]);
    }
    const nodes = NODES.map((name, index) => `${name}=localhost:${ports[index]}:${ports[index + NODES.length]}`);
    const answer = await cluster.#configure(nodes.flatMap((node) => ['--node', node]));
    cluster.clientId = (JSON.parse(answer) as { clientId: string }).clientId;
    await Promise.all(NODES.map((name) => cluster.boot(name)));
    return cluster;
  }

  url(name: NatsNodeName): string {
    return `mqtts://localhost:${this.port(name)}`;
  }

  port(name: NatsNodeName): number {
    return this.#ports.get(name) as number;
  }

  /** The nodes that run. */
  get alive(): NatsNodeName[] {
    return NODES.filter((name) => this.#processes.get(name)?.running === true);
  }

  async boot(name: NatsNodeName): Promise<void> {
    const monitor = this.#monitors.get(name);
    const args = ['-c', this.rig.path('nats', `${name}.conf`), '-m', String(monitor)];
    const broker = this.rig.start({ name: `nats-${name}`, command: NATS_SERVER, args });
    this.#processes.set(name, broker);
    await waitFor(
      `${name} to take part in JetStream`,
      async () => {
        const answer = await fetch(`http://127.0.0.1:${monitor}/healthz`).catch(() => null);
        return answer?.ok === true && (await portAnswers(this.port(name)));
      },
      { timeoutMs: 60_000, guard: () => broker.assertRunning() },
    );
  }

  /** What each node says of its routes and of JetStream, for the message of a failure. */
  async state(): Promise<string> {
    const ask = async (name: NatsNodeName): Promise<string> => {
      const read = async (path: string) =>
        (await fetch(`http://127.0.0.1:${this.#monitors.get(name)}/${path}`)).json() as Promise<
          Record<string, unknown>
        >;
      const [health, routes, stream] = await Promise.all(['healthz', 'routez', 'jsz'].map(read));
      return `${name}: ${JSON.stringify({ health, routes: routes.num_routes, meta: stream.meta_cluster })}\n`;
    };
    return (await Promise.all(this.alive.map(ask))).join('');
  }

  /** The node that decides for the cluster where streams and consumers lie. */
  async leader(): Promise<NatsNodeName> {
    return waitFor(
      'the cluster to have a leader',
      async () => {
        for (const name of this.alive) {
          const answer = await fetch(`http://127.0.0.1:${this.#monitors.get(name)}/jsz`);
          const { meta_cluster: meta } = (await answer.json()) as { meta_cluster?: { leader?: string } };
          const leader = this.alive.find((one) => one === meta?.leader);
          if (leader !== undefined) return leader;
        }
        return null;
      },
      { timeoutMs: 30_000 },
    );
  }

  async kill(name: NatsNodeName): Promise<void> {
    const broker = this.#processes.get(name) as ManagedProcess;
    process.kill(broker.pid, 'SIGKILL');
    await waitFor(`${name} to be gone`, () => !broker.running, { timeoutMs: 10_000, everyMs: 10 });
  }

  /** Lets in these boards and no others: by a reload, or one node after the other is started again. */
  async admit(deviceIds: readonly string[], by: 'reload' | 'restart' = 'reload'): Promise<void> {
    const list = this.rig.path('boards.txt');
    writeFileSync(list, deviceIds.join('\n'));
    await this.#configure(['--users-only', '--devices', list]);
    for (const name of this.alive) {
      const broker = this.#processes.get(name) as ManagedProcess;
      if (by === 'restart') {
        process.kill(broker.pid, 'SIGTERM');
        await waitFor(`${name} to end`, () => !broker.running, { timeoutMs: 30_000 });
        await this.boot(name);
        continue;
      }
      const reloads = () => readFileSync(broker.logPath, 'utf8').split('Reloaded server configuration').length;
      const before = reloads();
      process.kill(broker.pid, 'SIGHUP');
      await waitFor(`${name} to have the list`, () => reloads() > before, {
        timeoutMs: 10_000,
        guard: () => broker.assertRunning(),
      });
    }
  }

  async #configure(options: readonly string[]): Promise<string> {
    const args = [SERVER_CLI, 'broker-config', 'nats', '--json', '--data', this.dataDirectory];
    const answer = await runCommand('vigie-server broker-config nats', process.execPath, [
      ...args,
      ...['--out', this.rig.path('nats'), ...options],
    ]);
    return answer.toString('utf8');
  }
}
