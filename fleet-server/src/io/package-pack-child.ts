import { writeFile } from 'node:fs/promises';
import { packDirectory } from '@vigie/models/package/archive';
import { PackageError } from '@vigie/models/package/package-error';
import { serveJobs } from '@vigie/models/sandbox/serve-jobs';

/** Sandboxed: a job is `{directory, archive}`: packs a folder that somebody else wrote; answers the package's digest. */
await serveJobs(
  async (job) => {
    const { directory, archive } = job as { directory: string; archive: string };
    const { bytes, digest } = await packDirectory(directory);
    await writeFile(archive, bytes, { mode: 0o600 });
    return digest;
  },
  [PackageError],
);
