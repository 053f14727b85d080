import { dirname } from 'node:path';
import type { FileSystem } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';

/** Makes renames and new names in a folder survive a power cut. */
export function syncDirectory(directory: string, files: FileSystem = nodeFileSystem): Promise<void> {
  return files.syncDirectory(directory);
}

/** Replaces a file as a whole: after a crash at any point the old content or the new stands there. `mode` as of chmod. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
  files: FileSystem = nodeFileSystem,
): Promise<void> {
  const scratch = `${path}.new`;
  // A scratch file of an earlier crash may have another mode: begin afresh.
  await files.rm(scratch);
  const handle = await files.open(scratch, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await files.rename(scratch, path);
  await files.syncDirectory(dirname(path));
}
