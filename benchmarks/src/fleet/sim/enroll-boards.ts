import { makeKeyAndRequest } from '@vigie/agent/io/certificate-request';
import { FleetHttps } from '@vigie/agent/io/fleet-https';
import type { Identity } from '@vigie/agent/io/identity';
import type { EnrollResponse } from '@vigie/protocol';

export interface EnrollBoardsOptions {
  /** `https://host:port` of the fleet server. */
  httpsUrl: string;
  /** Its authority's certificate, PEM. */
  authority: string;
  /** A single-use enrolment token as an operator gets it. */
  token(deviceId: string): Promise<string>;
  deviceIds: readonly string[];
  hardwareClass(deviceId: string): string;
  /** Enrolments at the same time. */
  atOnce?: number;
  onProgress?(done: number, total: number): void;
}

/**
 * Enrols boards by the real thing, each with a key and a certificate of its own, over a few kept connections. Throws when the
 * server refuses one. In the order of `deviceIds`.
 */
export async function enrollBoards(options: EnrollBoardsOptions): Promise<Identity[]> {
  const { httpsUrl, authority, token, deviceIds, hardwareClass, atOnce = 8, onProgress } = options;
  const https = new FleetHttps({
    baseUrl: httpsUrl,
    credentials: (() => {
      const trust = { authorities: [authority] };
      return () => trust;
    })(),
    maxSockets: atOnce,
    idleMs: 60_000,
  });
  const identities = new Map<string, Identity>();
  const waiting = [...deviceIds];
  const lane = async (): Promise<void> => {
    for (let deviceId = waiting.shift(); deviceId !== undefined; deviceId = waiting.shift()) {
      const { privateKey, csr } = await makeKeyAndRequest(deviceId);
      const about = { deviceId, hardwareClass: hardwareClass(deviceId), agentVersion: '0.1.0' };
      const secret = (await token(deviceId)).split('.')[0];
      const { status, body } = await https.request('/api/v1/enroll', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...about, token: secret, csr }),
      });
      if (status !== 200) throw new Error(`enrolment of ${deviceId}: ${status} ${body.toString().slice(0, 300)}`);
      const answer = JSON.parse(body.toString()) as EnrollResponse;
      const { hardwareClass: ofBoard } = about;
      identities.set(deviceId, { ...answer, privateKey, hardwareClass: ofBoard, enrolledAt: new Date().toISOString() });
      onProgress?.(identities.size, deviceIds.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, deviceIds.length) }, lane));
  } finally {
    https.close();
  }
  return deviceIds.map((deviceId) => identities.get(deviceId) as Identity);
}

/** `sim-00001` and so on: sorted as numbers and as words alike. */
export function boardIds(count: number, prefix = 'sim'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${String(index + 1).padStart(5, '0')}`);
}
