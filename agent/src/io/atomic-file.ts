import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes renames and new names in a folder survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file as a whole: after a crash at any point the old content or the new stands there. `mode` as of chmod. */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const scratch = `${path}.new`;
  // A scratch file of an earlier crash may have another mode: begin afresh.
  await rm(scratch, { force: true });
  const handle = await open(scratch, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(scratch, path);
  await syncDirectory(dirname(path));
}
