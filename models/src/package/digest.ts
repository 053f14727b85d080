import { createHash } from 'node:crypto';

/** One file of a package: relative path with forward slashes, bytes, SHA-256 (hex). */
export interface PackageFile {
  path: string;
  size: number;
  sha256: string;
}

/** SHA-256 of bytes as 64 hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Orders paths by their UTF-8 bytes: the same on every machine, whatever its locale. */
export function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * The name of a package's content: SHA-256 (hex) over the lines `path\tsize\tsha256\n` of all files, `manifest.yaml`
 * included, sorted by path. It does not depend on how or when the files were packed.
 */
export function packageDigest(files: readonly PackageFile[]): string {
  const hash = createHash('sha256');
  for (const file of [...files].sort((a, b) => comparePaths(a.path, b.path))) {
    hash.update(`${file.path}\t${file.size}\t${file.sha256}\n`);
  }
  return hash.digest('hex');
}
