import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';

export type ProbeResult =
  | { ok: true; authority: string }
  | { ok: false; reason: 'unreachable' | 'mismatch'; detail: string };

/** Longest chain that is looked through. */
const MAX_CHAIN = 6;

/**
 * Asks a TLS server for its certificate chain and looks for the one authority whose SHA-256 (base64url, over the DER) is
 * `fingerprint`. Nothing is believed of this connection and nothing is said on it: it ends after the handshake.
 */
export function probeAuthority(url: URL, fingerprint: string, timeoutMs: number): Promise<ProbeResult> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || 443);
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      timeout: timeoutMs,
    });
    const end = (result: ProbeResult): void => {
      resolve(result);
      socket.destroy();
    };
    socket.once('timeout', () => end({ ok: false, reason: 'unreachable', detail: `no answer for ${timeoutMs} ms` }));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end({ ok: false, reason: 'unreachable', detail: error.code ?? error.message }),
    );
    socket.once('close', () => end({ ok: false, reason: 'unreachable', detail: 'the connection was closed' }));
    socket.once('secureConnect', () => {
      const authority = findInChain(socket.getPeerCertificate(true), fingerprint);
      const detail = `shows no certificate authority with the fingerprint ${fingerprint}`;
      end(authority === null ? { ok: false, reason: 'mismatch', detail } : { ok: true, authority });
    });
  });
}

function findInChain(leaf: DetailedPeerCertificate, fingerprint: string): string | null {
  let present: DetailedPeerCertificate | undefined = leaf;
  for (let depth = 0; depth < MAX_CHAIN && present?.raw !== undefined; depth += 1) {
    if (createHash('sha256').update(present.raw).digest('base64url') === fingerprint) return toPem(present.raw);
    present = present.issuerCertificate === present ? undefined : present.issuerCertificate;
  }
  return null;
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
