import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { CATALOGUE, type CatalogueEntry } from './pull/catalogue.js';
import { checkUrl } from './pull/check-url.js';
import { download } from './pull/download.js';
import { PullError } from './pull/pull-error.js';

interface Options {
  url?: string;
  sha256?: string;
  out?: string;
  list?: boolean;
  json?: boolean;
  maxMib: number;
  retries: number;
  timeout: number;
  stall: number;
}

type Wanted = Pick<CatalogueEntry, 'url' | 'sha256'> & Partial<CatalogueEntry>;

const MIB = 1024 * 1024;

/** `vigie-models pull NAME` or `pull --url URL --sha256 HEX`. */
export function pullCommand(): Command {
  return new Command('pull')
    .description('fetch a public model that is pinned by its SHA-256; goes on where a broken download stopped')
    .argument('[name]', 'a name of the catalogue (--list)')
    .option('--list', 'print the catalogue: name, licence, decoder family, URL')
    .option('--url <url>', 'fetch this instead: https, or http on this machine')
    .option('--sha256 <hex>', 'what the file behind --url must be', hash)
    .option('--out <file>', 'where to write it (default: the last part of the URL, in this folder)')
    .option('--max-mib <mib>', 'the largest file that is taken', whole(1, 4096), 512)
    .option('--retries <n>', 'how often a broken connection is tried again', whole(0, 100), 5)
    .option('--stall <seconds>', 'longest time without a byte', whole(1, 3600), 30)
    .option('--timeout <seconds>', 'longest time altogether', whole(1, 86_400), 3600)
    .option('--json', 'print one JSON document: {file, url, sha256, bytes, license?, decoder?}, or the catalogue')
    .action(async (name: string | undefined, options: Options) => {
      if (options.list) return list(options.json === true);
      const entry = wanted(name, options);
      const file = options.out ?? nameOf(entry.url);
      if (
        await stat(file).then(
          (info) => info.isDirectory(),
          () => false,
        )
      )
        throw new PullError('URL_REFUSED', `--out ${file} is a folder; write ${join(file, nameOf(entry.url))}`);
      const bytes = await download({
        url: entry.url,
        sha256: entry.sha256,
        file,
        maxBytes: Math.min(entry.bytes ?? Number.POSITIVE_INFINITY, options.maxMib * MIB),
        retries: options.retries,
        stallMs: options.stall * 1000,
        totalMs: options.timeout * 1000,
        onProgress: process.stderr.isTTY ? progress() : undefined,
      });
      const { url, sha256, license, decoder } = entry;
      if (options.json) console.log(JSON.stringify({ file, url, sha256, bytes, license, decoder }));
      else console.log(`${file}: ${bytes} bytes, SHA-256 ${sha256}. See what it is: vigie-models inspect ${file}`);
    });
}

function list(json: boolean): void {
  if (json) console.log(JSON.stringify({ models: CATALOGUE }));
  else
    for (const { name, license, decoder, url } of CATALOGUE)
      console.log(`${name.padEnd(12)} ${license.padEnd(12)} ${decoder.padEnd(8)} ${url}`);
}

function wanted(name: string | undefined, { url, sha256 }: Options): Wanted {
  if (url !== undefined && sha256 !== undefined && name === undefined) return { url, sha256 };
  if (url !== undefined || sha256 !== undefined)
    throw new PullError(
      'MODEL_UNKNOWN',
      '--url and --sha256 go together, without a name; a file that is not pinned is not fetched',
    );
  const entry = CATALOGUE.find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  const known = `known: ${CATALOGUE.map((one) => one.name).join(', ')}`;
  throw new PullError(
    'MODEL_UNKNOWN',
    `${name === undefined ? 'no name given' : `"${name}" is not in the catalogue`} (${known}); use --url URL --sha256 HEX`,
  );
}

/** The last part of a URL's path, if it can be a file's name here. */
function nameOf(url: string): string {
  const last = basename(checkUrl(url).pathname);
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,150}$/.test(last) ? last : 'model.onnx';
}

function progress(): (bytes: number, total: number | undefined) => void {
  let shown = -1;
  return (bytes, total) => {
    const step = total === undefined ? Math.floor(bytes / MIB) : Math.floor((100 * bytes) / total);
    if (step === shown) return;
    shown = step;
    process.stderr.write(`\r${total === undefined ? `${step} MiB` : `${step} %`}${bytes === total ? '\n' : ''}`);
  };
}

function hash(text: string): string {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('give 64 hex digits.');
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`);
  };
}
