import type { EnrollRequest, EnrollResponse } from '@vigie/protocol';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { TokenRepository } from '../io/database/token-repository.js';
import type { Authenticate, Broker, Now } from '../ports.js';
import { hashSecret, newSecret, secretMatches } from '../secrets.js';

/** User name of operators on the broker; no device may have it as its id. */
const OPERATOR = 'operator';

export type EnrollResult =
  | { ok: true; response: EnrollResponse }
  | { ok: false; code: 'ENROLLMENT_TOKEN_INVALID' | 'DEVICE_ID_RESERVED'; detail: string };

/** What an enrolling board gets besides its own credential. */
export interface EnrollmentFacts {
  mqttUrl(): string;
  serverKeys(): string[];
  tufRoot(): string;
}

/** Credentials: operators' tokens, enrolment tokens, and the boards' passwords. */
export class EnrollmentService {
  constructor(
    private readonly tokens: TokenRepository,
    private readonly devices: DeviceRepository,
    private readonly broker: () => Broker,
    private readonly facts: EnrollmentFacts,
    private readonly now: Now,
  ) {}

  async createToken(lifetimeSeconds: number): Promise<{ token: string; expiresAt: string }> {
    const token = newSecret('enrollment');
    const at = this.now();
    const expiresAt = new Date(at.getTime() + lifetimeSeconds * 1000);
    await this.tokens.addEnrollmentToken(hashSecret(token), at, expiresAt);
    return { token, expiresAt: expiresAt.toISOString() };
  }

  /** A board trades a token for a password. One that exists gets a new one, and its live session ends. */
  async enroll({ token, deviceId, hardwareClass, agentVersion }: EnrollRequest): Promise<EnrollResult> {
    if (deviceId === OPERATOR) {
      return {
        ok: false,
        code: 'DEVICE_ID_RESERVED',
        detail: `"${OPERATOR}" is the operators' user name; choose another device id`,
      };
    }
    const password = newSecret('device');
    const device = { id: deviceId, hardwareClass, agentVersion, passwordHash: hashSecret(password) };
    if (!(await this.devices.enroll(hashSecret(token), device, this.now()))) {
      return {
        ok: false,
        code: 'ENROLLMENT_TOKEN_INVALID',
        detail: 'the enrolment token is unknown, used or expired; ask an operator for a new one (vigie token create)',
      };
    }
    this.broker().disconnect(deviceId);
    const { mqttUrl, serverKeys, tufRoot } = this.facts;
    return {
      ok: true,
      response: {
        deviceId,
        mqtt: { url: mqttUrl(), username: deviceId, password },
        serverKeys: serverKeys(),
        tufRoot: tufRoot(),
      },
    };
  }

  /** Name of the operator's token, or null. */
  async operator(token: string): Promise<string | null> {
    return this.tokens.apiTokenName(hashSecret(token));
  }

  /** Logins on the broker: a device as itself, an operator under a client id that no device has. */
  readonly authenticate: Authenticate = async ({ clientId, username, password }) => {
    if (username === OPERATOR) {
      if ((await this.operator(password.toString())) === null || (await this.devices.exists(clientId))) return null;
      return { kind: 'operator' };
    }
    // A will or a takeover acts under the client id, so it must be the device's own.
    if (clientId !== username) return null;
    const stored = await this.devices.passwordHash(username);
    return stored !== null && secretMatches(password, stored) ? { kind: 'device', deviceId: username } : null;
  };
}
