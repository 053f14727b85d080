import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackArchive } from './archive.js';
import { MAX_PACKAGE_BYTES } from './limits.js';
import { type OpenPackage, openPackageDirectory } from './package.js';
import { PackageError } from './package-error.js';

/**
 * Opens a package given as a folder or as a `.vigie` file, which is unpacked into a temporary folder for as long as
 * `use` runs. Throws PackageError; PACKAGE_NOT_FOUND when there is nothing at `path`.
 */
export async function withPackage<T>(
  path: string,
  use: (directory: string, open: OpenPackage) => Promise<T>,
): Promise<T> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new PackageError(
      'PACKAGE_NOT_FOUND',
      `package ${path} cannot be read (${error.code}); name a folder or a .vigie file`,
    );
  });
  if (info.isDirectory()) return use(path, await openPackageDirectory(path));
  if (info.size > 2 * MAX_PACKAGE_BYTES)
    throw new PackageError('TOO_LARGE', `${path}: ${info.size} bytes are no package`);
  const directory = await mkdtemp(join(tmpdir(), 'vigie-package-'));
  try {
    return await use(directory, await unpackArchive(await readFile(path), directory));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
