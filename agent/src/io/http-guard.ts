import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export type Refusal = { status: 401 | 403; code: 'UNAUTHORIZED' | 'HOST_REFUSED' | 'ORIGIN_REFUSED'; detail: string };

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Who may ask. With a token, whoever holds it (bearer, or `?token=` for what cannot set headers: an `<img>`, a WebSocket).
 * Without one the agent listens on loopback only, and then a foreign name in `Host` is a web page that had its own
 * name resolve to 127.0.0.1 in order to read the camera: refused.
 */
export function checkAccess(request: IncomingMessage, url: URL, token: string | undefined): Refusal | null {
  if (token !== undefined) {
    const header = request.headers.authorization ?? '';
    const given = header.startsWith('Bearer ') ? header.slice(7) : url.searchParams.get('token');
    if (given !== null && sameSecret(given, token)) return null;
    return { status: 401, code: 'UNAUTHORIZED', detail: 'send "Authorization: Bearer <http.token>" or ?token=' };
  }
  const host = hostName(request.headers.host);
  if (host !== null && (isLoopback(host) || isIP(host.replace(/^\[|\]$/g, '')) !== 0)) return null;
  return {
    status: 403,
    code: 'HOST_REFUSED',
    detail: 'without http.token the agent answers only to localhost or an IP address',
  };
}

/** A WebSocket is open to every web page unless the server looks at `Origin`: the same host and port, or no browser at all. */
export function checkOrigin(request: IncomingMessage): Refusal | null {
  const { origin, host } = request.headers;
  if (origin === undefined) return null;
  const parsed = URL.canParse(origin) ? new URL(origin) : null;
  if (parsed !== null && host !== undefined && parsed.host.toLowerCase() === host.toLowerCase()) return null;
  return { status: 403, code: 'ORIGIN_REFUSED', detail: `origin ${origin.slice(0, 200)} is not this agent` };
}

function hostName(host: string | undefined): string | null {
  if (host === undefined || !URL.canParse(`http://${host}`)) return null;
  return new URL(`http://${host}`).hostname;
}

/** Compares digests of equal length, so that neither content nor length shows in the time it takes. */
function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
