import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root; the programs under test are run from it by path, never imported. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Absolute path of something in the repository, by its path from the root. */
export function inRepository(path: string): string {
  return join(ROOT, path);
}

export const AGENT_CLI = inRepository('agent/dist/cli.js');
export const SERVER_CLI = inRepository('fleet-server/dist/server-cli.js');
export const HALF_CORE = inRepository('benchmarks/scripts/half-core');

/** The bundled clip: 640 × 360, 10 frames/s, 230 frames; two walkers in frames 38 to 207. */
export const CLIP = inRepository('models/media/yard.mp4');
export const CLIP_FRAMES = 230;

export const FP32_PACKAGE = inRepository('models/zoo/person-detector-fp32');
export const INT8_PACKAGE = inRepository('models/zoo/person-detector-int8');

/** Something the command needs is not there; the message says how to get it. */
export class MissingPieceError extends Error {
  override readonly name = 'MissingPieceError';
}

/** Throws MissingPieceError when there is nothing at a path that the user gave. */
export function requirePackage(path: string): void {
  if (!existsSync(path))
    throw new MissingPieceError(`there is no package at ${path}; give a folder with a manifest.yaml`);
}

/** Throws MissingPieceError for the first path of the repository that does not exist. */
export function requireFiles(paths: readonly string[]): void {
  for (const path of paths) {
    if (!existsSync(path))
      throw new MissingPieceError(`${path} is missing: run "npm install" and "npm run build" first`);
  }
}
