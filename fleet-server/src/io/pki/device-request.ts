import { x509 } from './x509-library.js';

export type RequestCheck = { ok: true; publicKey: x509.PublicKey } | { ok: false; detail: string };

/**
 * Checks a PKCS #10 request (PEM, RFC 2986): an ECDSA P-256 key whose holder signed the request. Subject and extensions
 * are not looked at: the server alone says what stands in a certificate.
 */
export async function checkDeviceRequest(text: string): Promise<RequestCheck> {
  try {
    const request = new x509.Pkcs10CertificateRequest(text);
    const { publicKey, signatureAlgorithm } = request;
    const key = publicKey.algorithm as { name: string; namedCurve?: string };
    if (key.name !== 'ECDSA' || key.namedCurve !== 'P-256') {
      return { ok: false, detail: `the key is ${key.namedCurve ?? key.name}; make an ECDSA key on P-256` };
    }
    const hash = (signatureAlgorithm as { hash?: { name?: string } }).hash?.name ?? 'unknown';
    if (!['SHA-256', 'SHA-384', 'SHA-512'].includes(hash)) {
      return { ok: false, detail: `the request is signed over ${hash}; use SHA-256` };
    }
    if (!(await request.verify())) return { ok: false, detail: 'the request is not signed by the key that it names' };
    return { ok: true, publicKey };
  } catch (error) {
    return { ok: false, detail: `no certificate request: ${(error as Error).message.slice(0, 100)}` };
  }
}
