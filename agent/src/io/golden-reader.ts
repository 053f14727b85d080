import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_GOLDEN_PIXELS } from '@vigie/models/package/limits';
import { PackageError } from '@vigie/models/package/package-error';
import { decodePlanes, GOLDEN_FORMATS } from '@vigie/models/package/picture';
import { WHOLE_FRAME } from '@vigie/models/runtime/frame';
import { InstallError } from '../update/install-error.js';
import type { GoldenPicture, StoredPackage } from '../update/ports.js';

const BOUNDS = { maxPixels: MAX_GOLDEN_PIXELS, formats: GOLDEN_FORMATS };

/**
 * Decodes a package's golden frames one by one, as they are asked for, in their own size: the inference child brings them
 * to the model's, as it does with every frame of another size, so the agent's thread, which has live frames to serve, does not.
 * Each throws InstallError PACKAGE_INVALID.
 */
export async function readGolden(stored: StoredPackage): Promise<AsyncIterable<GoldenPicture>> {
  return decodeAhead(stored);
}

/** The next picture is decoded (in sharp's thread) while the present one is looked at. */
async function* decodeAhead({ directory, open }: StoredPackage): AsyncGenerator<GoldenPicture> {
  const start = (index: number) => {
    const golden = open.manifest.golden[index];
    if (golden === undefined) return null;
    const picture = decode(directory, golden);
    // Awaited later: until then a failure is nobody's.
    picture.catch(() => {});
    return picture;
  };
  let next = start(0);
  for (let index = 1; next !== null; index += 1) {
    const picture = await next;
    next = start(index);
    yield picture;
  }
}

async function decode(directory: string, golden: GoldenPicture['golden']): Promise<GoldenPicture> {
  try {
    const frame = await decodePlanes(await readFile(join(directory, golden.file)), BOUNDS);
    return { golden, frame, content: WHOLE_FRAME };
  } catch (error) {
    const { message } = error as Error;
    if (!(error instanceof PackageError)) throw new InstallError('INTERNAL', message, { cause: error });
    throw new InstallError('PACKAGE_INVALID', `${error.code}: ${golden.file}: ${message}`, { cause: error });
  }
}
