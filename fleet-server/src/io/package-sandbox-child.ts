import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { unpackArchive } from '@vigie/models/package/archive';
import { describePackage } from '@vigie/models/package/descriptor';
import { runGoldenFrames } from '@vigie/models/package/golden-test';
import { PackageError } from '@vigie/models/package/package-error';
import { loadModel } from '@vigie/models/runtime/load-model';
import { serveJobs } from '@vigie/models/sandbox/serve-jobs';
import type { ReleaseDescriptor } from '@vigie/protocol';

/** Sandboxed: a job is `{archive, directory}`: unpacks, loads, tests; answers the release's descriptor. */
await serveJobs(
  async (job) => {
    const { archive, directory } = job as { archive: string; directory: string };
    return examine(archive, directory);
  },
  [PackageError],
);

async function examine(archive: string, directory: string): Promise<ReleaseDescriptor> {
  const open = await unpackArchive(await readFile(archive), directory);
  const descriptor = await describePackage(open, (path) => readFile(join(directory, path)));
  const model = await loadModel(directory, open);
  const failed = (await runGoldenFrames(directory, open, model)).find(({ verdict }) => !verdict.ok);
  if (failed !== undefined && !failed.verdict.ok) {
    const detail = `golden frame ${failed.file}: ${failed.verdict.reason}; publish the golden detections that this model gives`;
    throw new PackageError('GOLDEN_MISMATCH', detail);
  }
  return { ...descriptor, requires: { ...descriptor.requires, memoryBytes: await residentBytes() } };
}

/** Resident memory of this process with the model loaded and run, after what unpacking took was given back. */
async function residentBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Buffers are freed by a later turn than the one that finds them unused.
  for (let i = 0; i < 2; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage.rss();
}
