import type { ReleaseDescriptor } from '@vigie/protocol';
import { sha256Hex } from './digest.js';
import { CHUNK_BYTES } from './limits.js';
import type { OpenPackage } from './package.js';
import { PackageError } from './package-error.js';

/** Cuts bytes into 64 KiB chunks named by their SHA-256 (hex); the last one may be shorter. Views, no copies. */
export function chunksOf(bytes: Buffer): { sha256: string; bytes: Buffer }[] {
  const chunks: { sha256: string; bytes: Buffer }[] = [];
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const chunk = bytes.subarray(start, start + CHUNK_BYTES);
    chunks.push({ sha256: sha256Hex(chunk), bytes: chunk });
  }
  return chunks;
}

/**
 * What a board needs to know to fetch a package: its files and their chunks. `readFile` gives a file's bytes by its
 * path in the package. Throws DIGEST_MISMATCH when a file changed since the package was opened, and TOO_LARGE when the
 * descriptor would not fit into one chunk (about 55 MB of files).
 */
export async function describePackage(
  open: OpenPackage,
  readFile: (path: string) => Promise<Buffer>,
): Promise<ReleaseDescriptor> {
  const { manifest } = open;
  const files: ReleaseDescriptor['files'] = [];
  for (const { path, size, sha256 } of open.files) {
    const bytes = await readFile(path);
    if (sha256Hex(bytes) !== sha256)
      throw new PackageError('DIGEST_MISMATCH', `${path} changed while it was being read; try again`);
    files.push({ path, size, sha256, chunks: chunksOf(bytes).map((chunk) => chunk.sha256) });
  }
  const descriptor: ReleaseDescriptor = {
    name: manifest.name,
    version: manifest.version,
    digest: open.digest,
    precision: manifest.model.precision,
    labels: open.labels,
    files,
    requires: { ...manifest.requires },
  };
  const size = Buffer.byteLength(JSON.stringify(descriptor));
  if (size > CHUNK_BYTES) {
    throw new PackageError(
      'TOO_LARGE',
      `the release's descriptor takes ${size} bytes and ${CHUNK_BYTES} fit; make the package smaller`,
    );
  }
  return descriptor;
}
