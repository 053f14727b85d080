// Where things stand, and small services that the zoo's scripts share.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../../', import.meta.url));
export const models = join(repository, 'models');
export const zoo = join(models, 'zoo');
export const stills = join(models, 'media', 'stills');
export const crops = join(models, 'media', 'crops');
export const measuredFile = join(zoo, 'measured.json');
/** Third-party material, beside the repository; not part of it. */
export const material = join(repository, '..', 'shared', 'material');

export const DETECTORS = ['person-detector-fp32', 'person-detector-int8', 'person-detector-tfjs'];
export const CLASSIFIERS = ['person-classifier-fp32', 'person-classifier-int8'];

/** The folders of the zoo that are there. */
export function present(names) {
  return names.filter((name) => existsSync(join(zoo, name, 'manifest.yaml')));
}

/** Runs `vigie-models` from the repository's root, as the provenance says it was run; gives what it printed. */
export function vigieModels(...args) {
  const run = spawnSync(process.execPath, ['models/dist/cli.js', ...args], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.status !== 0) throw new Error(`vigie-models ${args.join(' ')}: ${run.stderr.trim().split('\n').at(-1)}`);
  return run.stdout;
}

/** A path as a reader of the repository would write it. */
export function fromRoot(path) {
  return relative(repository, path);
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

export function round(value, digits = 4) {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

export async function readJson(path, otherwise) {
  if (otherwise !== undefined && !existsSync(path)) return otherwise;
  return JSON.parse(await readFile(path, 'utf8'));
}
