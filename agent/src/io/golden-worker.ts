import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { GoldenFrame, InputSpec } from '@vigie/models/package/manifest';
import { PackageError } from '@vigie/models/package/package-error';
import { decodePicture } from '@vigie/models/package/picture';
import type { GoldenPicture } from '../update/ports.js';

/** Entry of the worker thread of `golden-reader.ts`. */
export interface GoldenJob {
  directory: string;
  input: InputSpec;
  golden: GoldenFrame[];
}

export type GoldenAnswer = { ok: true; pictures: GoldenPicture[] } | { ok: false; code: string; message: string };

async function decodeAll({ directory, input, golden }: GoldenJob): Promise<GoldenAnswer> {
  try {
    const pictures: GoldenPicture[] = [];
    for (const expected of golden) {
      const { frame, content } = await decodePicture(await readFile(join(directory, expected.file)), input);
      pictures.push({ golden: expected, frame, content });
    }
    return { ok: true, pictures };
  } catch (error) {
    return {
      ok: false,
      code: error instanceof PackageError ? error.code : 'INTERNAL',
      message: (error as Error).message,
    };
  }
}

parentPort?.postMessage(await decodeAll(workerData as GoldenJob));
