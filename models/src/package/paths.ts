import { Value } from '@sinclair/typebox/value';
import { ReleaseFile } from '@vigie/protocol';
import { MAX_PATH_SEGMENTS } from './limits.js';
import { PackageError } from './package-error.js';

/**
 * Refuses a path that could leave the package's folder or that the wire cannot carry. The first segment starts with a
 * letter, which also keeps editors' and version control's hidden files out of a package.
 */
export function assertSafePath(path: string): void {
  const fits = path.split('/').length <= MAX_PATH_SEGMENTS;
  if (fits && /^[A-Za-z]/.test(path) && Value.Check(ReleaseFile.properties.path, path)) return;
  throw new PackageError(
    'PATH_UNSAFE',
    `file ${JSON.stringify(path.slice(0, 200))}: not a path a package may hold; use relative names of A-Z a-z 0-9 _ - . and /, ` +
      `starting with a letter, without . or .. segments, at most 200 characters and ${MAX_PATH_SEGMENTS - 1} folders`,
  );
}
