// @peculiar/x509 finds its parts by decorators and needs this before anything else.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** The key of a board: ECDSA on P-256, requests signed over SHA-256. */
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface KeyAndRequest {
  /** PKCS #8 PEM. */
  privateKey: string;
  /** PKCS #10 PEM (RFC 2986), signed by that key. */
  csr: string;
}

/** Makes a new key on this board and a certificate request for it. Loaded only where it is used: the library is large. */
export async function makeKeyAndRequest(deviceId: string): Promise<KeyAndRequest> {
  x509.cryptoProvider.set(webcrypto as never);
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${deviceId}`,
    keys: keys as never,
    signingAlgorithm: ECDSA,
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    privateKey: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    csr: `${request.toString('pem')}\n`,
  };
}
