import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Initialised } from '@vigie/fleet-server/data-folder-wiring';
import S3rver from 's3rver';
import { MosquittoBroker } from './mosquitto-broker.js';
import { PostgresCluster } from './postgres-cluster.js';
import { Api, initialised, type ServerProcess, spawnServer, temporaryFolder } from './server-fixture.js';

/** What a broker tells the server's configuration, and how it ends. */
export interface RigBroker {
  readonly settings: Record<string, unknown>;
  stop(): Promise<void>;
}

/** PostgreSQL, an S3 server and a broker, and replicas of the server on them as processes of their own. */
export class EngineRig<B extends RigBroker = MosquittoBroker> {
  readonly #running = new Map<string, ServerProcess>();

  private constructor(
    readonly folder: string,
    readonly cluster: PostgresCluster,
    readonly store: S3rver,
    readonly made: Initialised,
    readonly broker: B,
    private readonly settings: Record<string, unknown>,
  ) {}

  static async start<B extends RigBroker>(startBroker: (made: Initialised) => Promise<B>): Promise<EngineRig<B>> {
    const folder = await temporaryFolder();
    const cluster = await PostgresCluster.start();
    const store = new S3rver({
      ...{ port: 0, address: '127.0.0.1', silent: true, directory: join(folder, 's3') },
      configureBuckets: [{ name: 'vigie', configs: [] }],
    });
    const { port } = await store.run();
    const database = { url: await cluster.createDatabase() };
    const made = await initialised({ database });
    const credentialsFile = join(folder, 'credentials');
    await writeFile(credentialsFile, '[default]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n');
    const objects = { url: 's3://vigie/fleet', endpoint: `http://127.0.0.1:${port}`, credentialsFile };
    const broker = await startBroker(made);
    const ports = { http: { port: 0 }, https: { port: 0 } };
    const settings = { database, objects, ...ports, ...broker.settings };
    return new EngineRig(folder, cluster, store, made, broker, settings);
  }

  /** Starts a replica; its data folder gets the keys of the first one. */
  async replica(name: string): Promise<ServerProcess> {
    const directory = join(this.folder, name);
    await mkdir(directory, { recursive: true });
    for (const part of ['keys', 'pki', 'vigie-server.json'])
      await cp(join(this.made.dataDirectory, part), join(directory, part), { recursive: true });
    const file = join(this.folder, `${name}.yaml`);
    await writeFile(file, JSON.stringify({ ...this.settings, replica: { name }, data: { directory } }));
    const server = await spawnServer(directory, ['--config', file]);
    this.#running.set(name, server);
    return server;
  }

  api(server: ServerProcess): Api {
    return new Api(server.http, this.made.adminToken);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((server) => server.kill('SIGTERM')));
    await this.broker.stop();
    await this.store.close();
    await this.cluster.stop();
    await rm(join(this.made.dataDirectory, '..'), { recursive: true, force: true });
    await rm(this.folder, { recursive: true, force: true });
  }
}

export const startMosquitto = ({ dataDirectory }: Initialised) => MosquittoBroker.start(dataDirectory);
