import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ApiClient } from './api-client.js';
import { ApiError } from './api-error.js';

/** Bytes of one request: what a proxy takes, and what a cut costs at the most. */
const PIECE_BYTES = 8 * 1024 * 1024;
const POLL_MS = 500;
/** Attempts in a row that bring nothing, and the first wait between them, ms. */
const MAX_FAILURES = 8;
const FIRST_WAIT_MS = 500;
/** Answers after which another attempt makes no sense. */
const FINAL = new Set([400, 401, 403, 404, 413, 415, 422]);

export interface Upload {
  id: string;
  state: 'fetching' | 'receiving' | 'verifying' | 'done' | 'refused';
  bytes: number | null;
  received: number | null;
  sha256: string | null;
  failure: { code: string; packageCode?: string; detail: string } | null;
  release: { name: string; version: string; state: string } | null;
  created: boolean | null;
}

export interface UploadReporter {
  /** One line about work that takes long. */
  progress(line: string): void;
  /** Ms. */
  wait(ms: number): Promise<void>;
}

/**
 * Sends a package in pieces, goes on after cuts, and waits until it is verified. An upload of the same file that was left
 * open is continued. Throws ApiError: of the server, or with the code for which the package was refused.
 */
export async function uploadPackage(
  client: ApiClient,
  file: string,
  notes: string | undefined,
  reporter: UploadReporter,
): Promise<Upload> {
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new ApiError('FILE_UNREADABLE', `${file}: cannot be read (${error.code}); name an existing .vigie file`);
  });
  if (size === 0) throw new ApiError('FILE_EMPTY', `${file}: is empty; name a .vigie file`);
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const sha256 = hash.digest('hex');
  const id = await begin(client, size, sha256, notes, reporter);
  await send(client, id, file, size, reporter);
  return followUpload(client, id, reporter);
}

/** Waits until an upload has ended. Throws ApiError with the code for which it was refused. */
export async function followUpload(client: ApiClient, id: string, reporter: UploadReporter): Promise<Upload> {
  let shown = '';
  for (let failures = 0; ; ) {
    let upload: Upload;
    try {
      upload = await client.get<Upload>(`/uploads/${id}`);
      failures = 0;
    } catch (error) {
      failures += 1;
      await again(error, failures, reporter);
      continue;
    }
    if (upload.state === 'done') return upload;
    if (upload.state === 'refused') {
      const { code = 'REFUSED', detail = 'the server took it not' } = upload.failure ?? {};
      throw new ApiError(code, detail);
    }
    if (upload.state !== shown) reporter.progress(`${upload.state} ...`);
    shown = upload.state;
    await reporter.wait(POLL_MS);
  }
}

/** An open upload of these very bytes, or a new one. */
async function begin(
  client: ApiClient,
  bytes: number,
  sha256: string,
  notes: string | undefined,
  reporter: UploadReporter,
): Promise<string> {
  const { items } = await client.get<{ items: Upload[] }>('/uploads?limit=200');
  const open = items.find((one) => one.state === 'receiving' && one.sha256 === sha256 && one.bytes === bytes);
  if (open !== undefined) {
    reporter.progress(`going on with upload ${open.id}`);
    return open.id;
  }
  const body = { bytes, sha256, ...(notes === undefined ? {} : { notes }) };
  return (await client.post<Upload>('/uploads', body)).id;
}

async function send(
  client: ApiClient,
  id: string,
  file: string,
  size: number,
  reporter: UploadReporter,
): Promise<void> {
  let failures = 0;
  for (;;) {
    try {
      const head = await client.send('HEAD', `/uploads/${id}`);
      head.resume();
      let offset = Number(head.headers['upload-offset']);
      while (offset < size) {
        const end = Math.min(offset + PIECE_BYTES, size);
        const body = createReadStream(file, { start: offset, end: end - 1 });
        const answer = await client.send('PATCH', `/uploads/${id}`, {
          headers: {
            ...{ 'content-type': 'application/offset+octet-stream', 'content-length': end - offset },
            'upload-offset': offset,
          },
          body,
        });
        answer.resume();
        offset = end;
        failures = 0;
        reporter.progress(`${Math.floor((100 * offset) / size)} % of ${size} bytes`);
      }
      return;
    } catch (error) {
      failures += 1;
      await again(error, failures, reporter);
    }
  }
}

/** Waits before the next attempt; throws what another attempt would not change. */
async function again(error: unknown, failures: number, reporter: UploadReporter): Promise<void> {
  if (!(error instanceof ApiError) || failures >= MAX_FAILURES) throw error;
  // Behind a balancer the next connection may lead to the replica that has the bytes.
  const elsewhere = error.code === 'UPLOAD_ELSEWHERE';
  if (error.status !== null && FINAL.has(error.status)) throw error;
  if (error.code === 'SERVER_UNTRUSTED') throw error;
  const wait = elsewhere ? FIRST_WAIT_MS : FIRST_WAIT_MS * 2 ** (failures - 1);
  reporter.progress(`${error.code}; trying again in ${wait / 1000} s`);
  await reporter.wait(wait);
}
