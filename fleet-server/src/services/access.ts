import type { CertificateRepository } from '../io/database/certificate-repository.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { TokenRepository } from '../io/database/token-repository.js';
import type { Authenticate, Now, PeerCertificate } from '../ports.js';
import { type Actor, mayActAs } from '../roles.js';
import { hashSecret } from '../secrets.js';
import { OpenConnections } from './open-connections.js';
import type { RevocationService } from './revocation.js';

/** User name of operators on the broker. */
const OPERATOR = 'operator';

/** Ids that no board may have: user names and common names of others. */
export function isReserved(deviceId: string): boolean {
  return deviceId === OPERATOR || deviceId.startsWith('vigie-');
}

export type Admission =
  | { ok: true; deviceId: string }
  | { ok: false; code: 'CERTIFICATE_EXPIRED' | 'CERTIFICATE_REVOKED'; detail: string };

/** Who may come in: operators by their tokens, boards by certificates that still count. */
export class AccessService {
  /** What operators have open. */
  readonly connections = new OpenConnections();

  constructor(
    private readonly tokens: TokenRepository,
    private readonly devices: DeviceRepository,
    private readonly certificates: CertificateRepository,
    private readonly revocations: RevocationService,
    private readonly now: Now,
  ) {}

  /** Whose token this is, or null. */
  async operator(token: string): Promise<Actor | null> {
    const found = await this.tokens.findLive(hashSecret(token), this.now());
    return found === null ? null : { name: found.name, role: found.role, person: found.createdBy ?? found.name };
  }

  /** Does this certificate count? `graceMs`: for so long after its expiry too. Its first use ends the ones before it. */
  async admit(peer: PeerCertificate, graceMs = 0): Promise<Admission> {
    const { deviceId, serial, expiresAt } = peer;
    const now = this.now();
    if (now.getTime() > expiresAt.getTime() + graceMs) {
      const detail = `the certificate of ${deviceId} expired at ${expiresAt.toISOString()}; enrol the board again`;
      return { ok: false, code: 'CERTIFICATE_EXPIRED', detail };
    }
    const record = (await this.certificates.find(serial)) ?? (await this.certificates.adopt(peer, now));
    if (record === null || record.deviceId !== deviceId || record.revokedAt !== null) {
      const detail = `the certificate of ${deviceId} was revoked or replaced; enrol the board again`;
      return { ok: false, code: 'CERTIFICATE_REVOKED', detail };
    }
    if (record.usedAt === null) {
      await this.certificates.firstUse(serial, now);
      this.revocations.publishSoon();
    }
    return { ok: true, deviceId };
  }

  /** Logins on the broker: a board by its certificate, an operator by a token of that role under a client id that no board has. */
  readonly authenticate: Authenticate = async ({ clientId, username, password, certificate }) => {
    if (certificate !== null) {
      // A will or a takeover acts under the client id, so it must be the board's own.
      if (clientId !== certificate.deviceId) return null;
      const admission = await this.admit(certificate);
      return admission.ok ? { kind: 'device', deviceId: admission.deviceId } : null;
    }
    const token = password.toString();
    const counts = async () => {
      const actor = await this.operator(token);
      return actor !== null && mayActAs(actor, 'operator');
    };
    if (username !== OPERATOR || !(await counts())) return null;
    if (await this.devices.exists(clientId)) return null;
    return { kind: 'operator', hold: (end) => this.connections.hold({ counts, end }) };
  };
}
