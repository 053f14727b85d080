import { MAX_METADATA_BYTES, type ReleaseDescriptor } from '@vigie/protocol';
import { chunkEnds } from './chunking.js';
import { sha256Hex } from './digest.js';
import { CHUNK_BYTES } from './limits.js';
import type { OpenPackage } from './package.js';
import { PackageError } from './package-error.js';

/** A piece of a file or of metadata, named by the SHA-256 (hex) of its bytes; a view, no copy. */
export interface Chunk {
  sha256: string;
  bytes: Buffer;
}

/** Cuts the bytes of a file by their content (chunking.ts), so that two versions share what they have in common. */
export function chunksOf(bytes: Buffer): Chunk[] {
  let start = 0;
  return chunkEnds(bytes).map((end) => {
    const chunk = bytes.subarray(start, end);
    start = end;
    return { sha256: sha256Hex(chunk), bytes: chunk };
  });
}

/** Cuts metadata that is larger than a message into pieces of 64 KiB, the last one may be shorter: as few as there can be. */
export function partsOf(bytes: Buffer): Chunk[] {
  const parts: Chunk[] = [];
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    const part = bytes.subarray(start, start + CHUNK_BYTES);
    parts.push({ sha256: sha256Hex(part), bytes: part });
  }
  return parts;
}

/**
 * What a board needs to know to fetch a package: its files and their chunks. `readFile` gives a file's bytes by its
 * path in the package. Throws DIGEST_MISMATCH when a file changed since the package was opened, and TOO_LARGE when the
 * descriptor would be larger than the metadata that boards take (4 MiB: far beyond the largest package).
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
    const chunks = chunksOf(bytes);
    files.push({
      path,
      size,
      sha256,
      chunks: chunks.map((chunk) => chunk.sha256),
      chunkSizes: chunks.map((chunk) => chunk.bytes.length),
    });
  }
  const descriptor: ReleaseDescriptor = {
    name: manifest.name,
    version: manifest.version,
    digest: open.digest,
    precision: manifest.model.precision,
    labels: open.labels,
    files,
    requires: { ...manifest.requires },
    ...(manifest.trial === undefined ? {} : { trial: manifest.trial }),
  };
  const size = Buffer.byteLength(JSON.stringify(descriptor));
  if (size > MAX_METADATA_BYTES) {
    throw new PackageError(
      'TOO_LARGE',
      `the release's descriptor takes ${size} bytes and boards take ${MAX_METADATA_BYTES}; make the package smaller`,
    );
  }
  return descriptor;
}
