import { randomBytes } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { type Initialised, initialise } from '@vigie/fleet-server/data-folder-wiring';
import { PostgresDatabase } from '@vigie/fleet-server/io/database/postgres-database';
import pg from 'pg';
import { pino } from 'pino';
import { MosquittoBroker } from './mosquitto-broker.js';

const log = pino({ level: process.env.VIGIE_TEST_LOG ?? 'silent' });

/** Database and broker of one data folder. */
interface Engine {
  database: string;
  broker: Promise<MosquittoBroker> | null;
}

/**
 * PostgreSQL and Mosquitto in place of what the server embeds, for the tests that hold on both: each data folder has a
 * database of its own on one cluster, and from its first server on a broker of its own, which outlives restarts of it.
 */
export class ExternalEngines {
  readonly #engines = new Map<string, Engine>();
  readonly #databases = new Set<string>();

  constructor(
    /** URL of the cluster, ending in `/`. */
    private readonly cluster: string,
  ) {}

  async initialise(directory: string): Promise<Initialised> {
    const database = await this.#create();
    this.#engines.set(directory, { database, broker: null });
    return initialise(directory, undefined, undefined, () => this.#open(database));
  }

  /** A copy of an initialised folder and of its database; no server may run on it. */
  async copy(from: string, to: string): Promise<void> {
    await cp(from, to, { recursive: true });
    const database = await this.#create(this.#engines.get(from)?.database);
    this.#engines.set(to, { database, broker: null });
  }

  /** The database of a data folder, or a new one. */
  async openDatabase(directory: string): Promise<PostgresDatabase> {
    return this.#open(this.#engines.get(directory)?.database ?? (await this.#create()));
  }

  /** What the configuration of a server on this folder says; null for a folder that is none of these. */
  async settings(directory: string): Promise<Record<string, unknown> | null> {
    const engine = this.#engines.get(directory);
    if (engine === undefined) return null;
    engine.broker ??= MosquittoBroker.start(directory);
    return { database: { url: this.#url(engine.database) }, ...(await engine.broker).settings };
  }

  async broker(directory: string): Promise<MosquittoBroker | null> {
    return this.#engines.get(directory)?.broker ?? null;
  }

  /** For command lines that name this data folder. */
  environment(directory: string | undefined): NodeJS.ProcessEnv {
    const engine = directory === undefined ? undefined : this.#engines.get(directory);
    return engine === undefined ? {} : { VIGIE_DATABASE_URL: this.#url(engine.database) };
  }

  async stop(): Promise<void> {
    for (const { broker } of this.#engines.values()) await (await broker)?.stop();
    this.#engines.clear();
    for (const name of this.#databases) await this.#administer(`drop database if exists ${name} with (force)`);
    this.#databases.clear();
  }

  #url(database: string): string {
    return `${this.cluster}${database}`;
  }

  async #create(template = 'template1'): Promise<string> {
    const name = `vigie_${randomBytes(6).toString('hex')}`;
    await this.#administer(`create database ${name} template ${template}`);
    this.#databases.add(name);
    return name;
  }

  async #administer(statement: string): Promise<void> {
    const client = new pg.Client(this.#url('postgres'));
    await client.connect();
    await client.query(statement).finally(() => client.end());
  }

  #open(database: string): Promise<PostgresDatabase> {
    const limits = { connections: 10, statementTimeoutMs: 30_000, startupMs: 10_000 };
    return PostgresDatabase.open({ url: this.#url(database), tls: null, ...limits, log });
  }
}

/** Null: the embedded engines. Throws for a set that nobody knows. */
export function enginesFrom({ VIGIE_TEST_ENGINES, VIGIE_TEST_POSTGRES }: NodeJS.ProcessEnv): ExternalEngines | null {
  if (VIGIE_TEST_ENGINES === undefined || VIGIE_TEST_ENGINES === 'embedded') return null;
  if (VIGIE_TEST_ENGINES !== 'postgres-mosquitto' || VIGIE_TEST_POSTGRES === undefined)
    throw new Error(
      `VIGIE_TEST_ENGINES=${VIGIE_TEST_ENGINES}: use embedded or postgres-mosquitto, by vitest.config.ts`,
    );
  return new ExternalEngines(VIGIE_TEST_POSTGRES);
}
