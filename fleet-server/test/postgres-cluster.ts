import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { until } from './until.js';

const DEBIAN = '/usr/lib/postgresql';

/** A real PostgreSQL with a data directory and a port of its own. */
export class PostgresCluster {
  #server: ChildProcess | null = null;
  #log = '';
  /** Name of the database that was made last. */
  newest = '';

  private constructor(
    readonly folder: string,
    readonly port: number,
    /** PostgreSQL refuses to run as root. */
    readonly user: { uid?: number; gid?: number },
  ) {}

  static async start(): Promise<PostgresCluster> {
    const user: PostgresCluster['user'] = process.getuid?.() === 0 ? postgresUser() : {};
    const folder = await mkdtemp(join(tmpdir(), 'vigie-postgres-'));
    if (user.uid !== undefined && user.gid !== undefined) await chown(folder, user.uid, user.gid);
    const cluster = new PostgresCluster(folder, await freePort(), user);
    const args = [
      '--auth=trust',
      '--username=vigie',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '-D',
      cluster.#data,
    ];
    execFileSync(program('initdb'), args, { ...user, stdio: 'pipe', cwd: folder });
    await cluster.boot();
    return cluster;
  }

  /** A new empty database. */
  async createDatabase(): Promise<string> {
    const name = `vigie_${randomBytes(6).toString('hex')}`;
    await this.query('postgres', `create database ${name}`);
    this.newest = name;
    return this.url(name);
  }

  url(database: string): string {
    return `postgres://vigie@127.0.0.1:${this.port}/${database}`;
  }

  async query(database: string, text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client(this.url(database));
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async boot(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'max_connections=200'];
    const args = ['-D', this.#data, '-p', String(this.port), ...settings.flatMap((one) => ['-c', one])];
    const server = spawn(program('postgres'), args, {
      ...this.user,
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#server = server;
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (bytes) => (this.#log += bytes));
    await until('PostgreSQL to answer', () => {
      if (server.exitCode !== null) throw new Error(`postgres ended: ${this.#log}`);
      return this.query('postgres', 'select 1').catch(() => null);
    });
  }

  /** SIGINT: fast shutdown; SIGQUIT: as a crash. */
  async halt(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || server.exitCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.halt();
    await rm(this.folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.folder, 'data');
  }
}

/** The newest that Debian has installed, or what is on the path. */
function program(name: string): string {
  try {
    const newest = readdirSync(DEBIAN)
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => b - a)[0];
    return newest === undefined ? name : join(DEBIAN, String(newest), 'bin', name);
  } catch {
    return name;
  }
}

function postgresUser(): { uid: number; gid: number } {
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres']).toString()));
  return { uid, gid };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
