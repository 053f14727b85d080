import { type Agent as HttpAgent, get as httpGet } from 'node:http';
import { type Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { BodyTooLargeError, type HttpsGet } from './https-metadata.js';

export interface HttpsGetOptions {
  /** Carries the board's certificate and the fleet's CA; Node's own when absent. */
  agent?: HttpsAgent | HttpAgent;
  /** Silence on the line after which a request is given up, ms. Bytes that trickle in are bounded by `deadlineMs`. */
  stallMs: number;
  /** Longest time for one answer, ms. */
  deadlineMs: number;
}

/** GET by Node's own client. Follows no redirect: where bytes come from is configuration, not an answer. */
export function httpsGetter({ agent, stallMs, deadlineMs }: HttpsGetOptions): HttpsGet {
  return (url, { maxBytes, signal }) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      const get = target.protocol === 'http:' ? httpGet : httpsGet;
      const both = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
      const request = get(target, { agent, signal: both, timeout: stallMs }, (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > maxBytes) {
            request.destroy(new BodyTooLargeError(`${url}: more than ${maxBytes} bytes`));
            return;
          }
          chunks.push(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`nothing came for ${stallMs} ms`)));
      request.on('error', reject);
    });
}
