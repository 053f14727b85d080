import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { writeAtomic } from '../atomic-file.js';
import type { Authority } from './authority.js';
import { DAY_MS, newKeyPair, privateKeyPem } from './x509-library.js';

const LIFETIME_DAYS = 397;
/** Renewed when less than this is left: time enough for somebody to look if it fails. */
const RENEW_DAYS = 90;
const MAX_NAMES = 64;
const NAME = /^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$/;

/** Key and certificate chain, PEM, as Node's TLS takes them. */
export interface ServerCredentials {
  key: string;
  cert: string;
}

/** What a server on these addresses is called: loopback, this machine, addresses of its interfaces for a wildcard, and `more`. */
export function serverNames(hosts: readonly string[], more: readonly string[]): string[] {
  const wildcard = hosts.some((host) => host === '0.0.0.0' || host === '::');
  const interfaces = wildcard
    ? Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
    : [];
  const names = ['localhost', '127.0.0.1', '::1', hostname(), ...more, ...hosts, ...interfaces];
  const usable = names.filter(
    (name) => NAME.test(name) && name !== '0.0.0.0' && name !== '::' && !/%|^fe80:/i.test(name),
  );
  return [...new Set(usable.map((name) => name.toLowerCase()))].slice(0, MAX_NAMES).sort();
}

/** The server's own certificate: kept over restarts, issued anew when its names change or its end comes near. */
export class ServerCertificate {
  #current: ServerCredentials | null = null;
  readonly #path: string;

  constructor(
    private readonly authority: Authority,
    folder: string,
    private readonly names: () => string[],
  ) {
    this.#path = join(folder, 'server.pem');
  }

  /** Throws when `renew` never succeeded. */
  get credentials(): ServerCredentials {
    if (this.#current === null) throw new Error('the server has no certificate yet');
    return this.#current;
  }

  /** Returns whether there is another certificate than before. */
  async renew(now: Date): Promise<boolean> {
    const names = this.names();
    const present = this.#current ?? (await this.#read());
    if (present !== null && isGood(present, this.authority, names, now)) {
      const fresh = this.#current === null;
      this.#current = present;
      return fresh;
    }
    const keys = await newKeyPair();
    const { pem } = await this.authority.issueServer(names, keys.publicKey, LIFETIME_DAYS, now);
    const made = { key: await privateKeyPem(keys.privateKey), cert: pem + this.authority.certificate };
    // One file, so that key and certificate never part.
    await writeAtomic(this.#path, made.key + made.cert);
    this.#current = made;
    return true;
  }

  async #read(): Promise<ServerCredentials | null> {
    const text = await readFile(this.#path, 'utf8').catch(() => null);
    const at = text?.indexOf('-----BEGIN CERTIFICATE-----') ?? -1;
    return text === null || at <= 0 ? null : { key: text.slice(0, at), cert: text.slice(at) };
  }
}

function isGood({ cert }: ServerCredentials, authority: Authority, names: readonly string[], now: Date): boolean {
  try {
    const certificate = new X509Certificate(cert);
    const left = Date.parse(certificate.validTo) - now.getTime();
    const ours = certificate.verify(new X509Certificate(authority.certificate).publicKey);
    return ours && left > RENEW_DAYS * DAY_MS && sameNames(certificate, names);
  } catch {
    return false;
  }
}

function sameNames(certificate: X509Certificate, names: readonly string[]): boolean {
  const held = (certificate.subjectAltName ?? '').split(', ').length;
  const covers = (name: string) =>
    (isIP(name) === 0 ? certificate.checkHost(name, { wildcards: false }) : certificate.checkIP(name)) !== undefined;
  return held === names.length && names.every(covers);
}
