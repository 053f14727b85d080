import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { ServerConfig } from './config.js';
import { writeAtomic } from './io/atomic-file.js';
import { Authority } from './io/pki/authority.js';
import { deviceIssuer } from './io/pki/device-issuer.js';
import { readPeer } from './io/pki/peer-certificate.js';
import { ServerCertificate, serverNames } from './io/pki/server-certificate.js';
import type { TlsOptions } from './routes/http-server.js';
import type { AccessService } from './services/access.js';
import type { DeviceIssuer } from './services/enrollment.js';
import type { WriteRevocationList } from './services/revocation.js';

const DAY_MS = 86_400_000;

/** The revocation list (PEM) in the folder of the authority. */
export const revocationListPath = (folder: string) => join(folder, 'revoked.pem');

/** Everything that stands on the fleet's authority. */
export interface Pki {
  authority: Authority;
  certificate: ServerCertificate;
  issuer: DeviceIssuer;
  writeRevocationList: WriteRevocationList;
  /** For the HTTPS listener. */
  httpsOptions(access: AccessService): TlsOptions;
  /** The same for a certificate that was renewed. */
  secureContext(): { key: string; cert: string; ca: string };
}

/** Opens the authority in `folder` and gets the server its certificate. Throws AuthorityError. */
export async function openPki(folder: string, config: ServerConfig, now: Date): Promise<Pki> {
  const authority = await Authority.open(folder);
  const { https, mqtts, tls } = config;
  const urls = [https.publicUrl, mqtts.publicUrl].filter((url) => url !== undefined);
  const more = [...tls.names, ...urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''))];
  const certificate = new ServerCertificate(authority, folder, () => serverNames([https.host, mqtts.host], more));
  await certificate.renew(now);
  const root = new X509Certificate(authority.certificate);
  return {
    authority,
    certificate,
    issuer: deviceIssuer(authority, tls.deviceDays),
    writeRevocationList: async (revoked, at) =>
      writeAtomic(revocationListPath(folder), await authority.revocationList(revoked, at)),
    httpsOptions: (access) => ({
      credentials: certificate.credentials,
      authority: authority.certificate,
      peer: (socket) => readPeer(socket, root),
      admit: (peer, expired) => access.admit(peer, expired ? tls.renewalGraceDays * DAY_MS : 0),
    }),
    secureContext: () => ({ ...certificate.credentials, ca: authority.certificate }),
  };
}
