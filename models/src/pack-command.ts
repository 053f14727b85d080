import { rename, rm, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { packDirectory } from './package/archive.js';

/** `vigie-models pack DIR --out NAME.vigie` */
export function packCommand(): Command {
  return new Command('pack')
    .description('pack a folder (manifest.yaml, model file, labels, golden frames) into one .vigie file')
    .argument('<dir>', 'the folder')
    .requiredOption('--out <file>', 'the .vigie file to write; replaced when it exists')
    .option('--json', 'print one JSON document: {file, name, version, precision, digest, bytes}')
    .action(async (directory: string, options: { out: string; json?: boolean }) => {
      const { bytes, digest, manifest } = await packDirectory(directory);
      // Written beside the target and renamed: a full disk leaves no half archive under the final name.
      const partial = `${options.out}.partial`;
      try {
        await writeFile(partial, bytes);
        await rename(partial, options.out);
      } finally {
        await rm(partial, { force: true });
      }
      const { name, version } = manifest;
      const summary = {
        file: options.out,
        name,
        version,
        precision: manifest.model.precision,
        digest,
        bytes: bytes.length,
      };
      if (options.json) console.log(JSON.stringify(summary));
      else
        console.log(`${options.out}: ${name} ${version} ${summary.precision}, ${bytes.length} bytes, digest ${digest}`);
    });
}
