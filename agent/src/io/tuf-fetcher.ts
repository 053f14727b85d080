import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fetcher } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import { type MetadataSession, MetadataTooLargeError } from './metadata-source.js';

/** What tuf-js calls base URL; only the last part of what it asks for means anything here. */
export const TUF_BASE_URL = 'vigie://tuf';

/** `vigie://tuf/3.root.json` → role and version; null for what names neither. The role was quoted by tuf-js. */
export function parseMetadataUrl(url: string): { role: string; version: number | null } | null {
  const match = /\/(?:([1-9]\d{0,15})\.)?([^/]+)\.json$/.exec(url);
  if (match === null) return null;
  return { role: decodeURIComponent(match[2]), version: match[1] === undefined ? null : Number(match[1]) };
}

/** tuf-js's fetcher over one session of a source. Absent metadata is the HTTP 404 that tuf-js knows for it. */
export function sessionFetcher(session: MetadataSession): Fetcher {
  const downloadBytes = async (url: string, maxLength: number): Promise<Buffer> => {
    const asked = parseMetadataUrl(url);
    const bytes = asked === null ? null : await session.metadata(asked.role, asked.version, maxLength);
    if (bytes === null) throw new DownloadHTTPError(`${url} does not exist`, 404);
    if (bytes.length > maxLength)
      throw new MetadataTooLargeError(`${url}: ${bytes.length} bytes, ${maxLength} allowed`);
    return bytes;
  };
  return {
    downloadBytes,
    async downloadFile<T>(url: string, maxLength: number, handler: (file: string) => Promise<T>): Promise<T> {
      const bytes = await downloadBytes(url, maxLength);
      const folder = await mkdtemp(join(tmpdir(), 'vigie-tuf-'));
      try {
        const file = join(folder, 'metadata');
        await writeFile(file, bytes);
        return await handler(file);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
