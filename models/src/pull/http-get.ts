import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { checkUrl } from './check-url.js';
import { PullError } from './pull-error.js';

const MAX_REDIRECTS = 5;

/** A failure after which trying again may help. `waitMs`: what the server asked for, if it did. */
export class TransientFault extends Error {
  constructor(
    message: string,
    readonly kind: 'network' | 'timeout',
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

export interface GetOptions {
  headers: Readonly<Record<string, string>>;
  /** Longest time without a byte, also before the first. */
  stallMs: number;
  signal: AbortSignal;
}

/**
 * GETs a URL and follows up to five redirects, each checked like the URL itself. Gives the answer with its body unread, status
 * 200, 206 or 416. Throws TransientFault (network, 408, 429, 5xx) and PullError NOT_FOUND (other 4xx), URL_REFUSED.
 */
export async function getFollowing(start: URL, options: GetOptions): Promise<IncomingMessage> {
  let url = start;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await getOnce(url, options);
    const status = response.statusCode ?? 0;
    if (status === 200 || status === 206 || status === 416) return response;
    response.destroy();
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      const next = checkUrl(response.headers.location, url);
      // From https only on to https: a redirect must not take the transport's protection away.
      if (url.protocol === 'https:' && next.protocol !== 'https:')
        throw new PullError('URL_REFUSED', `${url.host} redirects to ${next.protocol}//${next.host}; use an https URL`);
      url = next;
      continue;
    }
    if (status === 408 || status === 429 || status >= 500)
      throw new TransientFault(
        `${url.host} answers ${status}`,
        'network',
        retryAfterMs(response.headers['retry-after']),
      );
    throw new PullError('NOT_FOUND', `${url.host} answers ${status} for ${url.pathname}; check the URL`);
  }
  throw new PullError(
    'URL_REFUSED',
    `${start.host} redirects more than ${MAX_REDIRECTS} times; use the URL it ends at`,
  );
}

function getOnce(url: URL, { headers, stallMs, signal }: GetOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? httpsGet : httpGet;
    // `agent: false`: one connection for one answer, closed with it.
    const request = get(url, { headers, signal, agent: false, timeout: stallMs }, (response) => {
      // Whoever reads the body watches over it from here on.
      request.setTimeout(0);
      resolve(response);
    });
    request.once('timeout', () =>
      request.destroy(new TransientFault(`${url.host} sent nothing for ${stallMs / 1000} s`, 'timeout')),
    );
    request.once('error', (error) =>
      reject(
        error instanceof TransientFault || signal.aborted
          ? error
          : new TransientFault(`${url.host}: ${error.message}`, 'network'),
      ),
    );
  });
}

/** Retry-After in seconds or as a date (RFC 9110, 10.2.3), as milliseconds from now; at most a minute. */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 60) * 1000 : undefined;
}
