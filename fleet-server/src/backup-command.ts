import { resolve } from 'node:path';
import type { Command } from 'commander';
import { backupStopped, restoreBackup } from './backup-wiring.js';
import { readPassphrase } from './io/backup/backup-file.js';
import { loadConfig } from './load-config.js';

interface BackupFlags {
  config?: string;
  data?: string;
  out: string;
  passphraseFile?: string;
  telemetry?: boolean;
  json?: boolean;
}

interface RestoreFlags {
  from: string;
  data: string;
  passphraseFile?: string;
  json?: boolean;
}

/** `vigie-server backup`, `vigie-server restore` */
export function addBackupCommands(program: Command, version: string): void {
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  program
    .command('backup')
    .description('write everything of a stopped server into one file; of a running one: vigie backup')
    .requiredOption('--out <file>', 'file to write, readable by its owner only')
    .option('--config <file>', 'YAML file, where the database is an external one')
    .option('--data <dir>', 'data folder (default vigie-data)')
    .option('--passphrase-file <file>', 'encrypt it under the first line of this file')
    .option('--telemetry', 'raw telemetry, too (its rollups are always there)')
    .option('--json', 'print one JSON document')
    .action(async ({ config, data, out, passphraseFile, telemetry, json }: BackupFlags) => {
      const passphrase = await readPassphrase(passphraseFile);
      const options = { telemetry: telemetry === true, onProgress: json ? () => undefined : progress };
      const manifest = await backupStopped(
        await loadConfig({ config, data }),
        resolve(out),
        passphrase,
        options,
        version,
      );
      if (passphrase === null) process.stderr.write(`${UNENCRYPTED}\n`);
      const { createdAt, files, tables } = manifest;
      const document = { file: resolve(out), createdAt, files: files.length, tables, encrypted: passphrase !== null };
      process.stdout.write(
        json ? `${JSON.stringify(document)}\n` : `${out}: ${files.length} files, read again and whole\n`,
      );
    });
  program
    .command('restore')
    .description('make a new data folder from a backup; numbers go on above what boards have seen')
    .requiredOption('--from <file>', 'the backup')
    .requiredOption('--data <dir>', 'data folder to make: absent or empty')
    .option('--passphrase-file <file>', 'passphrase of an encrypted backup')
    .option('--json', 'print one JSON document')
    .action(async ({ from, data, passphraseFile, json }: RestoreFlags) => {
      const passphrase = await readPassphrase(passphraseFile);
      const restored = await restoreBackup(resolve(from), data, passphrase, json ? () => undefined : progress);
      for (const warning of restored.warnings) process.stderr.write(`vigie-server: ${warning}\n`);
      process.stdout.write(
        json
          ? `${JSON.stringify(restored)}\n`
          : `${restored.dataDirectory}: as of ${restored.backupAt}; numbers go on ${restored.jump} higher.\n` +
              'No board is told a release, and rollouts stand still, until you say so: see docs/operations.md\n',
      );
    });
}

/** Said where a backup holds keys in clear. */
export const UNENCRYPTED =
  'warning: this backup is NOT encrypted and holds every private key of the fleet; keep it as you keep those, or use --passphrase-file';
