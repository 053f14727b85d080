import { createHmac } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Now } from '../ports.js';
import type { ChannelSecrets, ChannelSettings, OutgoingDelivery, SendResult } from '../services/channel.js';
import { pinned, TargetError, type TargetGuard } from './target-guard.js';

/** Of an answer so much is read; it is for the log only. */
const MAX_ANSWER_BYTES = 2048;

/** Certificates that do not hold, by OpenSSL's codes. */
export const UNTRUSTED = /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH)/;

export interface WebhookSenderOptions {
  guard: TargetGuard;
  timeoutMs: number;
  now: Now;
  userAgent: string;
}

/**
 * `v1,` and the base64 HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks, "Signature scheme"): a receiver checks it with
 * any library of that name.
 */
export function webhookSignature(signingKey: string, id: string, timestamp: number, body: string): string {
  const key = Buffer.from(signingKey.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Sends one signed POST. Follows no redirect: what a receiver answers decides nothing about where the next request goes. */
export function webhookSender({ guard, timeoutMs, now, userAgent }: WebhookSenderOptions) {
  return async (
    settings: ChannelSettings & { type: 'webhook' },
    { signingKey, authorization }: ChannelSecrets,
    delivery: OutgoingDelivery,
  ): Promise<SendResult> => {
    const url = new URL(settings.url);
    const body = JSON.stringify(delivery.body);
    const timestamp = Math.floor(now().getTime() / 1000);
    try {
      const address = await guard.admit(url.hostname);
      const { status, text } = await post(url, {
        body,
        lookup: pinned(address),
        timeoutMs,
        ca: settings.authority,
        headers: {
          'content-type': 'application/json',
          'user-agent': userAgent,
          'webhook-id': delivery.id,
          'webhook-timestamp': String(timestamp),
          ...(signingKey === undefined
            ? {}
            : { 'webhook-signature': webhookSignature(signingKey, delivery.id, timestamp, body) }),
          ...(authorization === undefined ? {} : { authorization }),
        },
      });
      if (status >= 200 && status < 300) return { ok: true, status };
      const moved = status >= 300 && status < 400 ? '; redirects are not followed' : '';
      return { ok: false, code: 'TARGET_REFUSED', status, error: `answered ${status}${moved}: ${text}`.slice(0, 300) };
    } catch (error) {
      return { ok: false, status: null, ...describeFault(error as NodeJS.ErrnoException, timeoutMs) };
    }
  };
}

/** What went wrong on the way to a target. */
export function describeFault(
  error: NodeJS.ErrnoException,
  timeoutMs: number,
): Pick<SendResult & { ok: false }, 'code' | 'error'> {
  if (error instanceof TargetError) return { code: error.code, error: error.message };
  const said = error.code ?? error.message;
  if (said === 'TIMED_OUT' || said === 'ETIMEDOUT' || said === 'ETIMEOUT')
    return { code: 'TARGET_TIMEOUT', error: `no answer within ${timeoutMs} ms` };
  if (UNTRUSTED.test(said)) return { code: 'TARGET_UNTRUSTED', error: `its certificate does not hold (${said})` };
  return { code: 'TARGET_UNREACHABLE', error: `cannot be reached (${said})`.slice(0, 300) };
}

interface Post {
  body: string;
  lookup: ReturnType<typeof pinned>;
  timeoutMs: number;
  ca: string | undefined;
  headers: Record<string, string>;
}

function post(url: URL, { body, timeoutMs, ca, ...options }: Post): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const request = (secure ? httpsRequest : httpRequest)(
      url,
      { ...options, method: 'POST', agent: false, ...(secure && ca !== undefined ? { ca } : {}) },
      (response: IncomingMessage) => {
        let text = '';
        const done = () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, text: printableStart(text) });
          request.destroy();
        };
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
          if (text.length >= MAX_ANSWER_BYTES) done();
        });
        response.once('end', done);
        response.once('error', done);
      },
    );
    // Over the whole exchange: a receiver that drips bytes does not hold the others up.
    const timer = setTimeout(
      () => request.destroy(Object.assign(new Error('timed out'), { code: 'TIMED_OUT' })),
      timeoutMs,
    );
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.setHeader('content-length', Buffer.byteLength(body));
    request.end(body);
  });
}

/** The beginning of a foreign answer, on one line. */
function printableStart(text: string): string {
  return text
    .slice(0, 200)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}
