import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { privateFolder, writeAtomic } from '../atomic-file.js';
import {
  type CryptoKey,
  DAY_MS,
  ECDSA,
  importPrivateKey,
  newKeyPair,
  newSerial,
  pem,
  privateKeyPem,
  x509,
} from './x509-library.js';

const YEARS = 20;
/** A board that has lost its clock begins at 1970: what it must believe is valid from then on. */
export const ALWAYS_VALID_FROM = new Date(0);

/** A certificate as it was issued. */
export interface IssuedCertificate {
  pem: string;
  /** 32 lower-case hex digits. */
  serial: string;
  expiresAt: Date;
}

/** A certificate that no longer counts, as the revocation list names it. */
export interface RevokedCertificate {
  serial: string;
  at: Date;
  superseded: boolean;
}

/** The data folder holds no authority, or a damaged one. */
export class AuthorityError extends Error {
  readonly code = 'AUTHORITY_UNUSABLE';
}

type Usage = 'device' | 'server' | 'client' | 'node';

const paths = (folder: string) => ({ key: join(folder, 'authority.key'), certificate: join(folder, 'authority.pem') });

/**
 * The private CA of one fleet. Its certificate is all that a board needs to tell its own servers from others; its key
 * (0600) signs certificates for boards and servers, and the list of those that were revoked. RFC 5280 throughout.
 */
export class Authority {
  /** SHA-256 of the certificate's DER, base64url: what an enrolment token carries. */
  readonly fingerprint: string;

  private constructor(
    /** PEM. */
    readonly certificate: string,
    private readonly parsed: x509.X509Certificate,
    private readonly key: CryptoKey,
  ) {
    this.fingerprint = createHash('sha256').update(Buffer.from(parsed.rawData)).digest('base64url');
  }

  /** Makes key and certificate in `folder`; one that is there already stays. */
  static async create(folder: string, now: Date): Promise<Authority> {
    if (await Authority.exists(folder)) return Authority.open(folder);
    await privateFolder(folder);
    const keys = await newKeyPair();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      // Each authority has a name of its own: two fleets in one trust store must not be taken for each other.
      name: `CN=Vigie fleet authority ${randomBytes(4).toString('hex')}`,
      keys,
      signingAlgorithm: ECDSA,
      serialNumber: newSerial(),
      notBefore: ALWAYS_VALID_FROM,
      notAfter: new Date(now.getTime() + YEARS * 365.25 * DAY_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    // The certificate last: without it there is no authority, and an interrupted `init` begins afresh.
    await writeAtomic(paths(folder).key, await privateKeyPem(keys.privateKey));
    await writeAtomic(paths(folder).certificate, pem(certificate));
    return Authority.open(folder);
  }

  static async exists(folder: string): Promise<boolean> {
    return readFile(paths(folder).certificate).then(
      () => true,
      () => false,
    );
  }

  /** Throws AuthorityError. */
  static async open(folder: string): Promise<Authority> {
    try {
      const certificate = await readFile(paths(folder).certificate, 'utf8');
      const key = await importPrivateKey(await readFile(paths(folder).key, 'utf8'));
      return new Authority(certificate, new x509.X509Certificate(certificate), key);
    } catch (error) {
      throw new AuthorityError(
        `${folder}: the fleet's authority cannot be read (${(error as Error).message}); restore the folder from a backup: ` +
          'with another authority every board has to be enrolled again',
      );
    }
  }

  /** For a board: client authentication only, the common name is its id. */
  issueDevice(deviceId: string, publicKey: x509.PublicKeyType, days: number, now: Date): Promise<IssuedCertificate> {
    return this.#issue('device', `CN=${deviceId}`, publicKey, new Date(now.getTime() - DAY_MS), days, now, []);
  }

  /** For a server or broker: `names` are host names and addresses. */
  issueServer(
    names: readonly string[],
    publicKey: x509.PublicKeyType,
    days: number,
    now: Date,
    /** Nodes of a broker's cluster are each other's clients too. */
    usage: 'server' | 'node' = 'server',
  ): Promise<IssuedCertificate> {
    const alternatives = names.map((value) => ({
      type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
      value,
    }));
    const extension = new x509.SubjectAlternativeNameExtension(alternatives);
    return this.#issue(usage, 'CN=vigie-server', publicKey, ALWAYS_VALID_FROM, days, now, [extension]);
  }

  /** For the fleet server itself as a client of an external broker. */
  issueClient(commonName: string, publicKey: x509.PublicKeyType, days: number, now: Date): Promise<IssuedCertificate> {
    return this.#issue('client', `CN=${commonName}`, publicKey, ALWAYS_VALID_FROM, days, now, []);
  }

  /** The signed list of revoked certificates (RFC 5280, 5), PEM. Good for a year: a broker refuses everybody by one that is too old. */
  async revocationList(revoked: readonly RevokedCertificate[], now: Date): Promise<string> {
    const number = BigInt(now.getTime()).toString(16).padStart(12, '0');
    const list = await x509.X509CrlGenerator.create({
      issuer: this.parsed.subject,
      thisUpdate: new Date(now.getTime() - DAY_MS),
      nextUpdate: new Date(now.getTime() + 365 * DAY_MS),
      signingAlgorithm: ECDSA,
      signingKey: this.key,
      entries: revoked.map(({ serial, at, superseded }) => ({
        serialNumber: serial,
        revocationDate: at,
        reason: superseded ? x509.X509CrlReason.superseded : x509.X509CrlReason.cessationOfOperation,
      })),
      extensions: [
        await x509.AuthorityKeyIdentifierExtension.create(this.parsed.publicKey),
        // CRL number: the time in ms as an INTEGER of 6 bytes.
        new x509.Extension('2.5.29.20', false, Buffer.from(`0206${number}`, 'hex')),
      ],
    });
    return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
  }

  async #issue(
    usage: Usage,
    subject: string,
    publicKey: x509.PublicKeyType,
    notBefore: Date,
    days: number,
    now: Date,
    more: x509.Extension[],
  ): Promise<IssuedCertificate> {
    const serial = newSerial();
    const expiresAt = new Date(Math.min(now.getTime() + days * DAY_MS, this.parsed.notAfter.getTime()));
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: this.parsed.subject,
      publicKey,
      signingKey: this.key,
      signingAlgorithm: ECDSA,
      serialNumber: serial,
      notBefore,
      notAfter: expiresAt,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(
          usage === 'node' ? [serverAuth, clientAuth] : [usage === 'server' ? serverAuth : clientAuth],
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.parsed.publicKey),
        ...more,
      ],
    });
    return { pem: pem(certificate), serial, expiresAt };
  }
}
