import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { ApiError } from './api-error.js';

export interface ShownAuthority {
  /** SHA-256 over the DER, base64url: as it stands behind the point of an enrolment token. */
  fingerprint: string;
  /** PEM. */
  certificate: string;
}

/** Longest chain that is looked through. */
const MAX_CHAIN = 6;

/**
 * Asks a TLS server for the authority at the end of its chain. Nothing is believed of this connection and nothing is said on
 * it: it ends after the handshake. Throws ApiError.
 */
export function probeAuthority(server: string, timeoutMs = 15_000): Promise<ShownAuthority> {
  const url = new URL(server);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port: Number(url.port || 443), rejectUnauthorized: false, minVersion: 'TLSv1.2', timeout: timeoutMs },
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const fail = (said: string) => {
      reject(new ApiError('SERVER_UNREACHABLE', `${server}: no TLS (${said}); is the server running there?`));
      socket.destroy();
    };
    socket.once('timeout', () => fail(`no answer for ${timeoutMs} ms`));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once('secureConnect', () => {
      const last = endOfChain(socket.getPeerCertificate(true));
      socket.destroy();
      if (last === null) reject(new ApiError('SERVER_UNTRUSTED', `${server}: shows no certificate authority`));
      else resolve({ fingerprint: createHash('sha256').update(last).digest('base64url'), certificate: toPem(last) });
    });
  });
}

/** DER of the self-signed certificate that the chain leads to; null when it does not show one. */
function endOfChain(leaf: DetailedPeerCertificate): Buffer | null {
  let present: DetailedPeerCertificate | undefined = leaf;
  for (let depth = 0; depth < MAX_CHAIN && present?.raw !== undefined; depth += 1) {
    if (present.issuerCertificate === present) return present.raw;
    present = present.issuerCertificate;
  }
  return null;
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
