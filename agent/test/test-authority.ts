import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

type Keys = { publicKey: x509.PublicKeyType; privateKey: CryptoKey };

/** What may be wrong with a certificate that a test asks for. */
export interface Life {
  from?: Date;
  to?: Date;
}

/** A certificate authority in the test's own hands, written without the fleet server. */
export class TestAuthority {
  private constructor(
    /** PEM. */
    readonly certificate: string,
    private readonly parsed: x509.X509Certificate,
    private readonly keys: Keys,
  ) {}

  static async create(): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=Test authority ${webcrypto.randomUUID()}`,
      keys: keys as never,
      signingAlgorithm: ECDSA,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + 3650 * DAY_MS),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return new TestAuthority(pem(certificate), certificate, keys);
  }

  /** SHA-256 of the certificate, base64url. */
  get fingerprint(): string {
    return createHash('sha256').update(Buffer.from(this.parsed.rawData)).digest('base64url');
  }

  /** Key and chain for a TLS server. */
  async server(
    names: readonly string[] = ['127.0.0.1', 'localhost'],
    life: Life = {},
  ): Promise<{ key: string; cert: string }> {
    const keys = await newKeys();
    const alternatives = names.map((value) => ({
      type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
      value,
    }));
    const certificate = await this.issue('CN=test-server', keys.publicKey, x509.ExtendedKeyUsage.serverAuth, life, [
      new x509.SubjectAlternativeNameExtension(alternatives),
    ]);
    return { key: await privatePem(keys.privateKey), cert: certificate + this.certificate };
  }

  /** Certificate and key of a board. */
  async device(deviceId: string, life: Life = {}): Promise<{ certificate: string; privateKey: string }> {
    const keys = await newKeys();
    const certificate = await this.issue(`CN=${deviceId}`, keys.publicKey, x509.ExtendedKeyUsage.clientAuth, life);
    return { certificate, privateKey: await privatePem(keys.privateKey) };
  }

  /** Signs the key of a request (PEM), for whatever name. */
  async sign(deviceId: string, csr: string, life: Life = {}): Promise<string> {
    const { publicKey } = new x509.Pkcs10CertificateRequest(csr);
    return this.issue(`CN=${deviceId}`, publicKey, x509.ExtendedKeyUsage.clientAuth, life);
  }

  private async issue(
    subject: string,
    publicKey: x509.PublicKeyType,
    usage: string,
    { from, to }: Life,
    more: x509.Extension[] = [],
  ): Promise<string> {
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: this.parsed.subject,
      publicKey,
      signingKey: this.keys.privateKey as never,
      signingAlgorithm: ECDSA,
      serialNumber: `40${webcrypto.randomUUID().replaceAll('-', '').slice(2)}`,
      notBefore: from ?? new Date(Date.now() - DAY_MS),
      notAfter: to ?? new Date(Date.now() + 365 * DAY_MS),
      extensions: [new x509.ExtendedKeyUsageExtension([usage], true), ...more],
    });
    return pem(certificate);
  }
}

type CryptoKey = webcrypto.CryptoKey;

async function newKeys(): Promise<Keys> {
  return (await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])) as unknown as Keys;
}

async function privatePem(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
