#!/usr/bin/env node
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { destination, pino } from 'pino';
import { addBackupCommands } from './backup-command.js';
import { brokerConfigCommand } from './broker-config-command.js';
import { ConfigError } from './config.js';
import { createAdminToken, DataFolderError, initialise } from './data-folder-wiring.js';
import { DatabaseError } from './database-error.js';
import { BackupError } from './io/backup/backup-format.js';
import { DataFolderLockedError } from './io/data-folder-lock.js';
import { MoveError } from './io/database/move-database.js';
import { AuthorityError } from './io/pki/authority.js';
import { S3CredentialsError } from './io/s3-credentials.js';
import { TufError } from './io/tuf/tuf-error.js';
import { type ConfigOptions, loadConfig } from './load-config.js';
import { startServer } from './main.js';
import { addMigrateCommand } from './migrate-command.js';
import { packageVersion } from './package-version.js';
import { addTufCommands } from './tuf-command.js';
import { openDatabase } from './wiring/database-wiring.js';

interface InitOptions {
  config?: string;
  data?: string;
  json?: boolean;
  offlineKeys?: string;
  rootKeys: number;
  rootThreshold: number;
  targetsKeys: number;
  targetsThreshold: number;
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535)
    throw new InvalidArgumentError('a TCP port is 0..65535; 0 takes a free one.');
  return value;
}

function keyCount(text: string): number {
  if (!/^([1-9]|1[0-6])$/.test(text)) throw new InvalidArgumentError('a whole number in 1..16.');
  return Number(text);
}

async function run(options: ConfigOptions): Promise<void> {
  const config = await loadConfig(options);
  const log = pino({ level: config.log.level }, destination({ fd: 2, sync: true }));
  const fatal = (error: Error) => {
    log.fatal({ err: error }, 'the server cannot go on');
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', (reason) => fatal(reason instanceof Error ? reason : new Error(String(reason))));
  const server = await startServer({ config, log, onFatal: fatal });
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    server.close().then(() => process.exit(0), fatal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** One line for what the user can set right; a stack only for what is ours. Exit 2: wrong use; 1: failed. */
function explain(error: unknown): never {
  const expected = [S3CredentialsError, ConfigError, DataFolderError, DataFolderLockedError, AuthorityError];
  if (error instanceof Error && expected.some((kind) => error instanceof kind)) {
    process.stderr.write(`vigie-server: ${error.message}\n`);
    process.exit(2);
  }
  if (error instanceof DatabaseError || error instanceof MoveError) {
    process.stderr.write(`vigie-server: ${error.message}\n`);
    process.exit(1);
  }
  if (error instanceof BackupError) {
    process.stderr.write(`vigie-server: ${error.code}: ${error.message}\n`);
    process.exit(1);
  }
  if (error instanceof TufError) {
    process.stderr.write(`vigie-server: ${error.message}\n`);
    process.exit(error.code === 'REQUEST_UNFIT' ? 2 : 1);
  }
  const { code, port: taken, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (code === 'EADDRINUSE' || code === 'EACCES') {
    const reason = code === 'EACCES' ? 'may not be opened' : 'is in use';
    process.stderr.write(
      `vigie-server: ${address}:${taken} ${reason}; stop what holds it or set another with --http-port, --https-port, --mqtt-port or --mqtts-port\n`,
    );
    process.exit(1);
  }
  process.stderr.write(`vigie-server: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}

/** Commands say what went wrong themselves. */
const quiet = pino({ level: 'silent' });

const program = new Command('vigie-server').description(
  'The fleet server of Vigie: registry, rollouts and what boards report.',
);

program
  .command('init')
  .description(
    'make keys, certificate authority, database, the first admin token and an enrolment token in a new data folder',
  )
  .option('--config <file>', 'YAML file: where data folder and database are')
  .option('--data <dir>', 'data folder (default vigie-data)')
  .option('--root-keys <n>', 'keys of the root of trust', keyCount, 1)
  .option('--root-threshold <n>', 'how many of them must sign', keyCount, 1)
  .option('--targets-keys <n>', 'keys of the publisher, who says what may be installed', keyCount, 1)
  .option('--targets-threshold <n>', 'how many of them must sign', keyCount, 1)
  .option('--offline-keys <dir>', 'write the private keys of both into this folder only; carry it away')
  .option('--json', 'print one JSON document')
  .action(async ({ config, data, json, offlineKeys, ...counts }: InitOptions) => {
    const offlineDirectory = offlineKeys === undefined ? null : resolve(offlineKeys);
    const settings = await loadConfig({ config, data });
    const open = (embedded: string) =>
      openDatabase(settings.database, embedded, { log: quiet, onLost: () => undefined });
    const made = await initialise(settings.data.directory, undefined, { ...counts, offlineDirectory }, open);
    if (json) return void process.stdout.write(`${JSON.stringify(made)}\n`);
    process.stdout.write(
      `Data folder      ${made.dataDirectory}\nAdmin token      ${made.adminToken}\nEnrolment token  ${made.enrollmentToken} (one board, 7 days)\n\n` +
        `Both are shown once. Behind the point of the enrolment token stands the fingerprint of this server's authority:\n` +
        `by it a board knows the server before it says anything. Next: vigie-server run --data ${made.dataDirectory}\n`,
    );
    if (made.offlineKeys.length === 0) return;
    process.stdout.write(
      `\nThe private keys of root and targets are in these files and nowhere else:\n${made.offlineKeys.map((path) => `  ${path}\n`).join('')}` +
        'Carry them away to machines without a network, and keep a copy: without them no release can be published.\n',
    );
  });

program
  .command('token')
  .description('make a further admin token; the server must not run')
  .option('--config <file>', 'YAML file: where data folder and database are')
  .option('--data <dir>', 'data folder (default vigie-data)')
  .option('--name <name>', 'whose it is', 'admin')
  .option('--json', 'print one JSON document')
  .action(async ({ config, data, name, json }: { config?: string; data?: string; name: string; json?: boolean }) => {
    const settings = await loadConfig({ config, data });
    const open = (embedded: string) =>
      openDatabase(settings.database, embedded, { log: quiet, onLost: () => undefined });
    const adminToken = await createAdminToken(settings.data.directory, name, undefined, open);
    process.stdout.write(json ? `${JSON.stringify({ adminToken })}\n` : `${adminToken}\n`);
  });

program
  .command('run')
  .description('run the server; logs go to stderr, SIGTERM stops it')
  .option('--config <file>', 'YAML file')
  .option('--data <dir>', 'data folder (default vigie-data)')
  .option('--http-port <port>', 'port of the API for operators on this machine (default 8080)', port)
  .option('--https-port <port>', 'port of the API with TLS (default 8443)', port)
  .option('--mqtt-port <port>', 'port of the broker for operators on this machine (default 1883)', port)
  .option('--mqtts-port <port>', 'port of the broker for boards (default 8883)', port)
  .action(run);

program.addCommand(brokerConfigCommand());
addTufCommands(program);
addBackupCommands(program, packageVersion());
addMigrateCommand(program);
program.parseAsync().catch(explain);
