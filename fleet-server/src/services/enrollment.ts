import {
  DELIVERY,
  type DeviceCertificate,
  deviceTopic,
  type EnrollRequest,
  type EnrollResponse,
} from '@vigie/protocol';
import type { CertificateRepository } from '../io/database/certificate-repository.js';
import type {
  EnrollmentTokenOptions,
  EnrollmentTokenRecord,
  TokenRepository,
} from '../io/database/token-repository.js';
import type { IssueResult } from '../io/pki/device-issuer.js';
import type { Broker, Now, PeerCertificate } from '../ports.js';
import { enrollmentToken, enrollmentTokenId, hashSecret, newSecret } from '../secrets.js';
import { isReserved } from './access.js';
import { AttemptLimit } from './attempt-limit.js';
import type { RevocationService } from './revocation.js';

/** Failed enrolments from one address, and in how long. */
const MOST_FAILURES = 30;
const WINDOW_MS = 60_000;

export type EnrollResult =
  | { ok: true; response: EnrollResponse }
  | { ok: false; code: 'ENROLLMENT_TOKEN_INVALID' | 'DEVICE_ID_RESERVED' | 'CSR_INVALID'; detail: string }
  | { ok: false; code: 'TOO_MANY_ATTEMPTS'; detail: string; retryAfterSeconds: number };

export type RenewResult =
  | { ok: true; response: DeviceCertificate }
  | { ok: false; code: 'CSR_INVALID' | 'CERTIFICATE_REVOKED'; detail: string };

/** Signs boards' certificates. */
export interface DeviceIssuer {
  /** Of the authority's certificate: what a token carries. */
  readonly fingerprint: string;
  /** Certificates (PEM) that boards check servers against. */
  readonly authorities: readonly string[];
  issue(deviceId: string, csr: string, now: Date): Promise<IssueResult>;
}

/** What an enrolling board gets besides its own certificate. */
export interface EnrollmentFacts {
  /** Where boards reach broker and server, when they reached us as `host`. */
  urls(host: string): { mqtt: string; https: string };
  serverKeys(): string[];
  tufRoot(): string;
}

/** How boards get their certificates, the first and the next ones. */
export class EnrollmentService {
  readonly #limit: AttemptLimit;

  constructor(
    private readonly tokens: TokenRepository,
    private readonly certificates: CertificateRepository,
    private readonly revocations: RevocationService,
    private readonly broker: () => Broker,
    private readonly issuer: DeviceIssuer,
    private readonly facts: EnrollmentFacts,
    private readonly now: Now,
    /** Every board has to be approved. */
    private readonly approval = false,
  ) {
    this.#limit = new AttemptLimit(MOST_FAILURES, WINDOW_MS, now);
  }

  async createToken(
    lifetimeSeconds: number,
    options: Partial<EnrollmentTokenOptions> = {},
  ): Promise<{ id: string; token: string; expiresAt: string }> {
    const secret = newSecret('enrollment');
    const at = this.now();
    const expiresAt = new Date(at.getTime() + lifetimeSeconds * 1000);
    const hash = hashSecret(secret);
    await this.tokens.addEnrollmentToken(hash, at, expiresAt, options);
    const token = enrollmentToken(secret, this.issuer.fingerprint);
    return { id: enrollmentTokenId(hash), token, expiresAt: expiresAt.toISOString() };
  }

  listTokens(): Promise<EnrollmentTokenRecord[]> {
    return this.tokens.enrollmentTokens();
  }

  /** False: there is no such token. */
  revokeToken(id: string): Promise<boolean> {
    return this.tokens.revokeEnrollmentToken(id, this.now());
  }

  /**
   * A board trades a token for a certificate. What a board of this id had before is revoked, and its live session ends.
   * `from`: the address the request came from; `host`: the name by which the board reached us.
   */
  async enroll(request: EnrollRequest, from: string, host: string): Promise<EnrollResult> {
    const retryAfterSeconds = this.#limit.waitSeconds(from);
    if (retryAfterSeconds > 0) {
      const detail = `too many failed enrolments from ${from}; try again in ${retryAfterSeconds} s`;
      return { ok: false, code: 'TOO_MANY_ATTEMPTS', detail, retryAfterSeconds };
    }
    const result = await this.#enroll(request, host);
    if (!result.ok) this.#limit.failed(from);
    return result;
  }

  async #enroll({ token, deviceId, hardwareClass, agentVersion, csr }: EnrollRequest, host: string) {
    if (isReserved(deviceId)) {
      const detail = `"${deviceId}" is reserved ("operator" and all that begins with "vigie-" are); choose another device id`;
      return { ok: false, code: 'DEVICE_ID_RESERVED', detail } as const;
    }
    const spent = {
      ok: false,
      code: 'ENROLLMENT_TOKEN_INVALID',
      detail: 'the enrolment token is unknown, used or expired; ask an operator for a new one (vigie token create)',
    } as const;
    const now = this.now();
    const tokenHash = hashSecret(token);
    if (!(await this.certificates.tokenIsGood(tokenHash, now))) return spent;
    // Before the token is spent: a board with a bad request may try again with a good one.
    const issued = await this.issuer.issue(deviceId, csr, now);
    if (!issued.ok) return { ok: false, code: 'CSR_INVALID', detail: issued.detail } as const;
    const device = { id: deviceId, hardwareClass, agentVersion };
    const enrolled = await this.certificates.enroll(tokenHash, device, issued, now, this.approval);
    if (enrolled === null) return spent;
    // A board that is new has no session that could be another's.
    if (enrolled.known) this.broker().disconnect(deviceId);
    // What the board of this id was told before is not for one that nobody has approved.
    if (enrolled.pending) this.broker().publish(deviceTopic(deviceId, 'desired'), Buffer.alloc(0), DELIVERY.desired);
    this.revocations.publishSoon();
    const { mqtt, https } = this.facts.urls(host);
    const response: EnrollResponse = {
      deviceId,
      certificate: issued.pem,
      authorities: [...this.issuer.authorities],
      mqtt: { url: mqtt },
      https: { url: https },
      serverKeys: this.facts.serverKeys(),
      tufRoot: this.facts.tufRoot(),
      ...(enrolled.pending ? { pending: true } : {}),
      ...(enrolled.role === 'lab' ? { role: enrolled.role } : {}),
    };
    return { ok: true, response } as const;
  }

  /** A further certificate for the same board. The one it asked with counts until the new one was used once. */
  async renew(peer: PeerCertificate, csr: string): Promise<RenewResult> {
    const now = this.now();
    const issued = await this.issuer.issue(peer.deviceId, csr, now);
    if (!issued.ok) return { ok: false, code: 'CSR_INVALID', detail: issued.detail };
    if (!(await this.certificates.renew(peer.deviceId, peer.serial, issued, now))) {
      return { ok: false, code: 'CERTIFICATE_REVOKED', detail: 'the certificate was revoked; enrol the board again' };
    }
    return { ok: true, response: { certificate: issued.pem, authorities: [...this.issuer.authorities] } };
  }
}
