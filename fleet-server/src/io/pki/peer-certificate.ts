import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { PeerCertificate } from '../../ports.js';

export type Peer = PeerCertificate | 'none' | 'untrusted';

/** A board's certificate has this subject and nothing beside it. */
const SUBJECT = /^CN=([A-Za-z0-9][A-Za-z0-9_-]{0,63})$/;
/** Extended key usage clientAuth (RFC 5280, 4.2.1.12). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * Who is at the other end of a TLS connection. Judged from the certificate alone and not from `socket.authorized`: that
 * says only the last of several faults, and is remembered in a session that is taken up again. Expiry is left to the caller.
 */
export function readPeer(socket: TLSSocket, authority: X509Certificate): Peer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return 'none';
  const deviceId = SUBJECT.exec(certificate.subject)?.[1];
  const { keyUsage } = certificate as { keyUsage?: string[] };
  if (deviceId === undefined || keyUsage?.includes(CLIENT_AUTH) !== true) return 'untrusted';
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) return 'untrusted';
  return {
    deviceId,
    serial: certificate.serialNumber.toLowerCase(),
    expiresAt: new Date(certificate.validTo),
  };
}
