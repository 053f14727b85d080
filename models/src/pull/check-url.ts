import { PullError } from './pull-error.js';

/**
 * Reads a URL that may be fetched: https, or http on this machine itself (a mirror, a test). Throws URL_REFUSED.
 */
export function checkUrl(text: string, base?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw new PullError('URL_REFUSED', `"${text.slice(0, 200)}" is no URL; write https://...`);
  }
  if (url.username !== '' || url.password !== '')
    throw new PullError('URL_REFUSED', `the URL of ${url.host} holds a user or a password; leave them out`);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url;
  throw new PullError(
    'URL_REFUSED',
    `${url.protocol}//${url.host} is not taken; use https (http only on this machine)`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
