import type { Logger } from 'pino';
import type { CertificateRepository } from '../io/database/certificate-repository.js';
import type { RevokedCertificate } from '../io/pki/authority.js';
import type { Broker, Now } from '../ports.js';
import { Serial } from './serial.js';

/** Signs and stores the revocation list. */
export type WriteRevocationList = (revoked: readonly RevokedCertificate[], now: Date) => Promise<void>;

/** Shuts boards out, and keeps the list of certificates that no longer count for whoever checks them elsewhere. */
export class RevocationService {
  readonly #serial = new Serial();
  #queued = false;

  constructor(
    private readonly certificates: CertificateRepository,
    private readonly broker: () => Broker,
    private readonly write: WriteRevocationList,
    private readonly log: Logger,
    private readonly now: Now,
  ) {}

  /** Ends a board's right to come in, and its live session at once. False: there is no such board. */
  async revoke(deviceId: string): Promise<boolean> {
    if (!(await this.certificates.revokeDevice(deviceId, this.now()))) return false;
    this.broker().disconnect(deviceId);
    await this.publish();
    return true;
  }

  /** Writes the list anew from the database. */
  publish(): Promise<void> {
    return this.#serial.run(async () => {
      this.#queued = false;
      const now = this.now();
      await this.write(await this.certificates.revoked(now), now);
    });
  }

  /** The same when there is time; many calls make one list. */
  publishSoon(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.publish().catch((error: Error) => this.log.error({ err: error }, 'the revocation list could not be written'));
  }

  async idle(): Promise<void> {
    await this.#serial.idle();
  }
}
