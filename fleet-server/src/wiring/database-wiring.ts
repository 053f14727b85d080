import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { Logger } from 'pino';
import { ConfigError, isLoopback, type ServerConfig } from '../config.js';
import type { Engine } from '../io/database/database.js';
import { PgliteDatabase } from '../io/database/pglite-database.js';
import { PostgresDatabase } from '../io/database/postgres-database.js';

/** Characters of a slow statement that are logged. Its values are none of them. */
const SHOWN = 300;

type DatabaseConfig = ServerConfig['database'];
/** Parts of a URL by which node-postgres would take other settings than these. */
const SETTINGS = /^(ssl|sslmode|sslcert|sslkey|sslrootcert|sslnegotiation|uselibpqcompat|options|host|port)$/;

/** The database that the configuration names; the embedded one in `embedded` without a URL. Throws ConfigError, DatabaseError. */
export async function openDatabase(
  config: DatabaseConfig,
  embedded: string,
  { log, onLost, environment = process.env }: DatabaseHost,
): Promise<Engine> {
  const url = await databaseUrl(config, environment);
  if (url !== null) return openPostgres(url, config, log);
  return PgliteDatabase.open(embedded, onLost, undefined, {
    ms: config.slowStatementMs,
    told: ({ sql, ms }) =>
      log.warn({ ms: Math.round(ms), statement: sql.replace(/\s+/g, ' ').slice(0, SHOWN) }, 'a statement was slow'),
  });
}

export interface DatabaseHost {
  log: Logger;
  /** The embedded database died: the process cannot go on. */
  onLost: (error: Error) => void;
  environment?: NodeJS.ProcessEnv;
}

/** PostgreSQL under this URL, with the other settings of the configuration. */
export async function openPostgres(url: string, config: DatabaseConfig, log: Logger): Promise<PostgresDatabase> {
  return PostgresDatabase.open({
    url,
    tls: await databaseTls(url, config),
    connections: config.connections,
    statementTimeoutMs: config.statementTimeoutSeconds * 1000,
    startupMs: config.startupSeconds * 1000,
    log,
  });
}

/** Where the database is: named in the file, beside it, or by the environment; null: it is the embedded one. Throws ConfigError. */
export async function databaseUrl(config: DatabaseConfig, environment: NodeJS.ProcessEnv): Promise<string | null> {
  const { url, urlFile } = config;
  if (url !== undefined) return checkUrl(url, 'database.url');
  if (urlFile !== undefined)
    return checkUrl((await readText('urlFile', urlFile)).trim(), `database.urlFile ${urlFile}`);
  const given = environment.VIGIE_DATABASE_URL;
  return given === undefined || given === '' ? null : checkUrl(given, 'VIGIE_DATABASE_URL');
}

function checkUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  // What is wrong with a URL is told without it: it holds a password.
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2)
    throw new ConfigError(`${origin}: is no URL such as postgres://vigie:PASSWORD@db.example/vigie; correct it`);
  const setting = [...url.searchParams.keys()].find((name) => SETTINGS.test(name));
  if (setting !== undefined)
    throw new ConfigError(`${origin}: "?${setting}=" does not belong into the URL; use database.tls and its files`);
  return text;
}

async function databaseTls(url: string, config: DatabaseConfig): Promise<ConnectionOptions | null> {
  const { hostname } = new URL(url);
  const local = hostname === '' || isLoopback(hostname.replace(/^\[|\]$/g, ''));
  const mode = config.tls ?? (local && config.caFile === undefined ? 'off' : 'verify');
  if (mode === 'off') return null;
  const { caFile, certFile, keyFile } = config;
  return {
    rejectUnauthorized: mode === 'verify',
    ...(caFile === undefined ? {} : { ca: await readText('caFile', caFile) }),
    ...(certFile === undefined ? {} : { cert: await readText('certFile', certFile) }),
    ...(keyFile === undefined ? {} : { key: await readText('keyFile', keyFile) }),
  };
}

async function readText(field: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`database.${field}: ${path} cannot be read (${error.code}); name an existing file`);
  });
}
