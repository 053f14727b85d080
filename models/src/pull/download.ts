import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { checkUrl } from './check-url.js';
import { getFollowing, TransientFault } from './http-get.js';
import { PullError } from './pull-error.js';

export interface DownloadOptions {
  url: string;
  /** 64 hex digits, lower case. */
  sha256: string;
  /** Where the file ends up; `FILE.partial` and `FILE.partial.etag` stand beside it until it is whole. */
  file: string;
  maxBytes: number;
  /** Tries after the first. */
  retries: number;
  /** Longest time without a byte. */
  stallMs: number;
  /** Longest time altogether. */
  totalMs: number;
  onProgress?: (bytes: number, total: number | undefined) => void;
  /** Waits before a try; another one in tests. */
  sleep?: (ms: number) => Promise<void>;
  /** 0..1, for the jitter. */
  random?: () => number;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/**
 * Fetches a file that is pinned by its hash, and puts it at `file` only when the hash is right. What a broken connection left is
 * gone on with (HTTP Range with If-Range), by this call or by a later one. Gives the number of bytes.
 * Throws PullError; a file with a wrong hash is deleted.
 */
export async function download(options: DownloadOptions): Promise<number> {
  const url = checkUrl(options.url);
  const { retries, sleep = wait, random = Math.random } = options;
  const signal = AbortSignal.timeout(options.totalMs);
  for (let attempt = 0; ; attempt++) {
    try {
      const bytes = await fetchOnce(url, options, signal);
      return await finish(options, bytes);
    } catch (error) {
      if (signal.aborted) {
        const hint = 'run it again to go on where it stopped';
        throw new PullError('TIMED_OUT', `${url.host}: not done after ${options.totalMs / 1000} s; ${hint}`, {
          cause: error,
        });
      }
      if (error instanceof PullError && error.code === 'TOO_LARGE') await discard(options.file);
      if (!(error instanceof TransientFault)) throw error;
      if (attempt >= retries) {
        const code = error.kind === 'timeout' ? 'TIMED_OUT' : 'NETWORK_FAILED';
        throw new PullError(
          code,
          `${error.message}; tried ${attempt + 1} times; run it again to go on where it stopped`,
          { cause: error },
        );
      }
      // Full jitter, so that many boards that lost one server do not come back as one.
      const ceiling = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS);
      await sleep(error.waitMs ?? ceiling * (0.5 + random() / 2));
    }
  }
}

/** One request; appends to the partial file. Gives the bytes that it then holds. */
async function fetchOnce(url: URL, options: DownloadOptions, signal: AbortSignal): Promise<number> {
  const partial = `${options.file}.partial`;
  const etagFile = `${partial}.etag`;
  const etag = await readFile(etagFile, 'utf8').catch(() => '');
  let have =
    etag === ''
      ? 0
      : await stat(partial).then(
          ({ size }) => size,
          () => 0,
        );
  const headers: Record<string, string> = { 'user-agent': 'vigie-models', 'accept-encoding': 'identity' };
  if (have > 0) {
    headers.range = `bytes=${have}-`;
    headers['if-range'] = etag;
  }
  const response = await getFollowing(url, { headers, stallMs: options.stallMs, signal });
  if (response.statusCode === 416) {
    response.destroy();
    // Nothing lies behind what is here: it is whole, and its hash tells whether it is right, or it is of another file.
    if (response.headers['content-range'] === `bytes */${have}`) return have;
    await discard(options.file);
    throw new TransientFault(`${url.host} has no bytes from ${have} on`, 'network');
  }
  const resumed = response.statusCode === 206 && startsAt(response.headers['content-range'], have);
  if (response.statusCode === 206 && !resumed) {
    response.destroy();
    await discard(options.file);
    throw new TransientFault(`${url.host} sends another range than it was asked for`, 'network');
  }
  if (!resumed) have = 0;
  const length = Number(response.headers['content-length']);
  const total = Number.isInteger(length) ? have + length : undefined;
  if (total !== undefined && total > options.maxBytes) {
    response.destroy();
    throw tooLarge(options, total);
  }
  // Only a strong validator may be resumed on (RFC 9110, 13.1.5); without one the next try begins anew.
  const validator = response.headers.etag ?? '';
  await writeFile(etagFile, validator.startsWith('"') ? validator : '');
  const file = await open(partial, resumed ? 'a' : 'w');
  let stalled = false;
  const quiet = () => {
    stalled = true;
    response.destroy();
  };
  let timer = setTimeout(quiet, options.stallMs);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      have += chunk.length;
      if (have > options.maxBytes) throw tooLarge(options, have);
      await file.write(chunk);
      options.onProgress?.(have, total);
      timer = setTimeout(quiet, options.stallMs);
    }
  } catch (error) {
    if (error instanceof PullError || signal.aborted) throw error;
    if (stalled) throw new TransientFault(`${url.host} sent nothing for ${options.stallMs / 1000} s`, 'timeout');
    const code = (error as NodeJS.ErrnoException).code ?? '';
    // A full disk is not the network's fault.
    if (/^E(NOSPC|DQUOT|IO|ROFS|FBIG)$/.test(code)) throw error;
    throw new TransientFault(`${url.host}: the connection broke (${code || String(error)})`, 'network');
  } finally {
    clearTimeout(timer);
    response.destroy();
    await file.close();
  }
  if (stalled) throw new TransientFault(`${url.host} sent nothing for ${options.stallMs / 1000} s`, 'timeout');
  if (total !== undefined && have < total) throw new TransientFault(`${url.host}: the connection broke`, 'network');
  return have;
}

async function finish({ file, sha256, url }: DownloadOptions, bytes: number): Promise<number> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(`${file}.partial`), hash);
  const actual = hash.digest('hex');
  if (actual !== sha256) {
    await discard(file);
    throw new PullError(
      'HASH_MISMATCH',
      `${url} has SHA-256 ${actual}, not ${sha256}; deleted. The file changed, or it is not the one you want`,
    );
  }
  const handle = await open(`${file}.partial`, 'r');
  await handle.sync();
  await handle.close();
  await rename(`${file}.partial`, file);
  await rm(`${file}.partial.etag`, { force: true });
  return bytes;
}

async function discard(file: string): Promise<void> {
  await rm(`${file}.partial`, { force: true });
  await rm(`${file}.partial.etag`, { force: true });
}

function tooLarge({ url, maxBytes }: DownloadOptions, bytes: number): PullError {
  return new PullError('TOO_LARGE', `${url}: ${bytes} bytes or more exceed ${maxBytes}; allow more with --max-mib`);
}

/** `bytes 100-199/200` starts at 100. */
function startsAt(contentRange: string | undefined, start: number): boolean {
  return /^bytes (\d+)-/.exec(contentRange ?? '')?.[1] === String(start);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
