import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { comparePaths, type PackageFile, packageDigest } from './digest.js';
import { checkLabelReferences, parseLabels } from './labels.js';
import { MANIFEST_FILE, MAX_LABELS_BYTES, MAX_MANIFEST_BYTES, MAX_PACKAGE_BYTES, MAX_PACKAGE_FILES } from './limits.js';
import type { Manifest } from './manifest.js';
import { parseManifest } from './manifest-file.js';
import { PackageError } from './package-error.js';
import { assertSafePath } from './paths.js';

/** A package that was checked: schema, bounds, model hash, labels, golden files. */
export interface OpenPackage {
  manifest: Manifest;
  /** Label of each class id. */
  labels: string[];
  /** Package digest, see `packageDigest`. */
  digest: string;
  /** Every file, sorted by path. */
  files: PackageFile[];
}

/**
 * Opens an unpacked package and checks everything that can be checked without running the model. All files are hashed.
 * Throws PackageError (PACKAGE_NOT_FOUND, MANIFEST_MISSING, MANIFEST_INVALID, FILE_MISSING, DIGEST_MISMATCH, LABELS_INVALID,
 * TOO_LARGE, TOO_MANY_FILES, PATH_UNSAFE).
 */
export async function openPackageDirectory(directory: string): Promise<OpenPackage> {
  const listed = await listFiles(directory);
  const files: PackageFile[] = [];
  for (const { path, size } of listed) files.push({ path, size, sha256: await hashFile(join(directory, path)) });
  return checkPackage(files, (path) => readFile(join(directory, path)));
}

/** The checks of `openPackageDirectory` on files that may still be in memory. `read` is called for small text files only. */
export async function checkPackage(
  files: readonly PackageFile[],
  read: (path: string) => Promise<Uint8Array>,
): Promise<OpenPackage> {
  checkBounds(files);
  const sorted = [...files].sort((a, b) => comparePaths(a.path, b.path));
  const byPath = new Map(sorted.map((file) => [file.path, file]));
  const manifestFile = byPath.get(MANIFEST_FILE);
  if (manifestFile === undefined) {
    throw new PackageError('MANIFEST_MISSING', `${MANIFEST_FILE} is missing; a package holds it at its top`);
  }
  if (manifestFile.size > MAX_MANIFEST_BYTES) {
    throw new PackageError('TOO_LARGE', `${MANIFEST_FILE}: ${manifestFile.size} bytes exceed ${MAX_MANIFEST_BYTES}`);
  }
  const manifest = parseManifest(Buffer.from(await read(MANIFEST_FILE)).toString('utf8'));
  const need = (field: string, path: string): PackageFile => {
    const file = byPath.get(path);
    if (file !== undefined) return file;
    throw new PackageError(
      'FILE_MISSING',
      `manifest.yaml: ${field}: "${path}" is not in the package; add the file or correct the path`,
    );
  };
  const model = need('model.file', manifest.model.file);
  if (model.sha256 !== manifest.model.sha256) {
    throw new PackageError(
      'DIGEST_MISMATCH',
      `manifest.yaml: model.sha256: ${manifest.model.sha256} is not the hash of ${model.path}, which is ${model.sha256}; ` +
        'fetch the file again, or write its hash if you changed it',
    );
  }
  for (const [index, golden] of manifest.golden.entries()) need(`golden[${index}].file`, golden.file);
  const labelsFile = need('labels', manifest.labels);
  if (labelsFile.size > MAX_LABELS_BYTES) {
    throw new PackageError(
      'LABELS_INVALID',
      `labels (${labelsFile.path}): ${labelsFile.size} bytes exceed ${MAX_LABELS_BYTES}`,
    );
  }
  const labels = parseLabels(await read(manifest.labels), manifest.labels);
  checkLabelReferences(manifest, labels);
  return { manifest, labels, digest: packageDigest(sorted), files: sorted };
}

/** Count, total size and names. Throws TOO_MANY_FILES, TOO_LARGE, PATH_UNSAFE. */
export function checkBounds(files: readonly { path: string; size: number }[]): void {
  if (files.length > MAX_PACKAGE_FILES) {
    throw new PackageError(
      'TOO_MANY_FILES',
      `${files.length} files exceed ${MAX_PACKAGE_FILES}; leave what the model does not need out`,
    );
  }
  let total = 0;
  const seen = new Set<string>();
  for (const { path, size } of files) {
    assertSafePath(path);
    if (seen.has(path)) throw new PackageError('PATH_UNSAFE', `file "${path}" stands twice in the package`);
    seen.add(path);
    total += size;
    if (total > MAX_PACKAGE_BYTES) {
      throw new PackageError('TOO_LARGE', `file "${path}" takes the package over ${MAX_PACKAGE_BYTES} bytes`);
    }
  }
}

/** Regular files below `directory`, sorted; sizes in bytes. Throws PATH_UNSAFE on links and special files. */
export async function listFiles(directory: string): Promise<{ path: string; size: number }[]> {
  const found: { path: string; size: number }[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(directory, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && depth < 8) {
        await visit(path, depth + 1);
        continue;
      }
      if (!entry.isFile()) {
        throw new PackageError(
          'PATH_UNSAFE',
          `"${path}" is no regular file or lies too deep; a package holds plain files only`,
        );
      }
      found.push({ path, size: (await lstat(join(directory, path))).size });
      if (found.length > MAX_PACKAGE_FILES) checkBounds(found);
    }
  };
  try {
    await visit('', 0);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    throw new PackageError(
      'PACKAGE_NOT_FOUND',
      `package folder ${directory} cannot be read (${code}); check the path`,
      {
        cause: error,
      },
    );
  }
  checkBounds(found);
  return found.sort((a, b) => comparePaths(a.path, b.path));
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
