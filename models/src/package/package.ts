import { createHash } from 'node:crypto';
import { lstat, open, opendir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { comparePaths, type PackageFile, packageDigest } from './digest.js';
import { checkLabelReferences, parseLabels } from './labels.js';
import {
  MANIFEST_FILE,
  MAX_LABELS_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_PACKAGE_BYTES,
  MAX_PACKAGE_FILES,
  MAX_PACKAGE_FOLDERS,
  MAX_PATH_SEGMENTS,
} from './limits.js';
import type { Manifest } from './manifest.js';
import { parseManifest } from './manifest-file.js';
import { PackageError } from './package-error.js';
import { assertSafePath } from './paths.js';
import { checkTfjsShards, MAX_TFJS_MODEL_BYTES, parseTfjsModel } from './tfjs-files.js';

/** Read and hashed at a time: small enough to keep no thread busy for long. */
const HASH_PIECE_BYTES = 256 * 1024;

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
 * TOO_LARGE, TOO_MANY_FILES, PATH_UNSAFE, PATH_COLLISION).
 */
export async function openPackageDirectory(directory: string): Promise<OpenPackage> {
  const listed = await listFiles(directory);
  const files: PackageFile[] = [];
  const buffer = Buffer.allocUnsafe(HASH_PIECE_BYTES);
  for (const { path, size } of listed)
    files.push({ path, size, sha256: await hashFile(join(directory, path), buffer) });
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
    throw new PackageError(
      'TOO_LARGE',
      `${MANIFEST_FILE}: ${manifestFile.size} bytes exceed ${MAX_MANIFEST_BYTES}; move long texts into files of their own`,
    );
  }
  const manifest = parseManifest(utf8(await read(MANIFEST_FILE)));
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
  if (manifest.model.engine === 'tfjs') {
    if (model.size > MAX_TFJS_MODEL_BYTES) {
      throw new PackageError('TOO_LARGE', `${model.path}: ${model.size} bytes exceed ${MAX_TFJS_MODEL_BYTES}`);
    }
    checkTfjsShards(parseTfjsModel(await read(model.path), model.path), model.path, byPath);
  }
  for (const [index, golden] of manifest.golden.entries()) need(`golden[${index}].file`, golden.file);
  const labelsFile = need('labels', manifest.labels);
  if (labelsFile.size > MAX_LABELS_BYTES) {
    throw new PackageError(
      'LABELS_INVALID',
      `labels (${labelsFile.path}): ${labelsFile.size} bytes exceed ${MAX_LABELS_BYTES}; give one short line per class`,
    );
  }
  const labels = parseLabels(await read(manifest.labels), manifest.labels, manifest.task);
  checkLabelReferences(manifest, labels);
  return { manifest, labels, digest: packageDigest(sorted), files: sorted };
}

/** Count, total size and names. Throws TOO_MANY_FILES, TOO_LARGE, PATH_UNSAFE, PATH_COLLISION. */
export function checkBounds(files: readonly { path: string; size: number }[]): void {
  if (files.length > MAX_PACKAGE_FILES) {
    throw new PackageError(
      'TOO_MANY_FILES',
      `${files.length} files exceed ${MAX_PACKAGE_FILES}; leave what the model does not need out`,
    );
  }
  let total = 0;
  for (const { path, size } of files) {
    assertSafePath(path);
    total += size;
    if (total > MAX_PACKAGE_BYTES) {
      throw new PackageError(
        'TOO_LARGE',
        `file "${path}" takes the package over ${MAX_PACKAGE_BYTES} bytes; make it smaller`,
      );
    }
  }
  refuseCollisions(files.map(({ path }) => path));
}

/**
 * Two paths that some file system takes for one (`Model.onnx`, `model.onnx`), or a file where another needs a folder, would
 * unpack differently from board to board. Throws PATH_COLLISION.
 */
function refuseCollisions(paths: readonly string[]): void {
  const files = new Map<string, string>();
  for (const path of paths) {
    const folded = path.toLowerCase();
    const other = files.get(folded);
    if (other !== undefined) {
      const how = other === path ? 'stands twice in the package' : `and "${other}" are one file on some file systems`;
      throw new PackageError('PATH_COLLISION', `file "${path}" ${how}; rename one`);
    }
    files.set(folded, path);
  }
  for (const path of paths) {
    const segments = path.toLowerCase().split('/');
    for (let length = 1; length < segments.length; length++) {
      const file = files.get(segments.slice(0, length).join('/'));
      if (file === undefined) continue;
      throw new PackageError(
        'PATH_COLLISION',
        `"${file}" is a file, and "${path}" needs a folder of that name; rename one`,
      );
    }
  }
}

/** Regular files below `directory`, sorted; sizes in bytes. Throws PATH_UNSAFE on links and special files. */
export async function listFiles(directory: string): Promise<{ path: string; size: number }[]> {
  const found: { path: string; size: number }[] = [];
  let folders = 0;
  const visit = async (folder: string, depth: number): Promise<void> => {
    // Read one by one: a folder with a million files is left at the first that is too many.
    for await (const entry of await opendir(join(directory, folder))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && depth < MAX_PATH_SEGMENTS - 1) {
        if (++folders > MAX_PACKAGE_FOLDERS) {
          throw new PackageError('TOO_MANY_FILES', `more than ${MAX_PACKAGE_FOLDERS} folders; leave empty ones out`);
        }
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

/** In one buffer: a stream would make a new one for each piece, and take three times the time of the hash itself. */
async function hashFile(file: string, buffer: Buffer): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(file, 'r');
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PackageError('MANIFEST_INVALID', `${MANIFEST_FILE}: not UTF-8 text; save the file as UTF-8`);
  }
}
