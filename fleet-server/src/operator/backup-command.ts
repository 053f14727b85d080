import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readPassphrase, storeBackup } from '../io/backup/backup-file.js';
import { BackupError } from '../io/backup/backup-format.js';
import type { CommandContext } from './context.js';

interface BackupFlags {
  out: string;
  passphraseFile?: string;
  telemetry?: boolean;
}

const UNENCRYPTED =
  'warning: this backup is NOT encrypted and holds every private key of the fleet; keep it as you keep those, or use --passphrase-file';

/** `vigie backup` */
export function addBackupCommand(program: Command, { client, print, progress, fail }: CommandContext): void {
  program
    .command('backup')
    .description(
      'write everything of the running server into one file (role admin); restore it with: vigie-server restore',
    )
    .requiredOption('--out <file>', 'file to write, readable by its owner only')
    .option('--passphrase-file <file>', 'encrypt it under the first line of this file')
    .option('--telemetry', 'raw telemetry, too (its rollups are always there)')
    .action(async ({ out, passphraseFile, telemetry }: BackupFlags) => {
      try {
        const passphrase = await readPassphrase(passphraseFile);
        const stream = await client().send('GET', `/backup${telemetry ? '?telemetry=true' : ''}`);
        const { createdAt, files, tables } = await storeBackup(stream, resolve(out), passphrase);
        if (passphrase === null) progress(UNENCRYPTED);
        print(
          { file: resolve(out), createdAt, files: files.length, tables, encrypted: passphrase !== null },
          () => `${out}: ${files.length} files, read again and whole\n`,
        );
      } catch (error) {
        if (error instanceof BackupError) fail(error.code, error.message);
        throw error;
      }
    });
}
