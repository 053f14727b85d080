import type { Authority, IssuedCertificate } from './authority.js';
import { checkDeviceRequest } from './device-request.js';

export type IssueResult = ({ ok: true } & IssuedCertificate) | { ok: false; detail: string };

/** The authority as it signs for boards: only what stands in a checked request, for a fixed time. */
export function deviceIssuer(authority: Authority, days: number) {
  return {
    fingerprint: authority.fingerprint,
    authorities: [authority.certificate],
    async issue(deviceId: string, csr: string, now: Date): Promise<IssueResult> {
      const request = await checkDeviceRequest(csr);
      if (!request.ok) return request;
      return { ok: true, ...(await authority.issueDevice(deviceId, request.publicKey, days, now)) };
    },
  };
}
