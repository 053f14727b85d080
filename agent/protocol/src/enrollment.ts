import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from './identifiers.js';

/** Body of `POST /api/v1/enroll`: a board trades a single-use token for its own credential. */
export const EnrollRequest = Type.Object({
  token: Type.String({ minLength: 16, maxLength: 200 }),
  deviceId: DeviceId,
  hardwareClass: Type.String({ minLength: 1, maxLength: 64 }),
  agentVersion: Type.String({ minLength: 1, maxLength: 64 }),
});
export type EnrollRequest = Static<typeof EnrollRequest>;

export const EnrollResponse = Type.Object({
  deviceId: DeviceId,
  mqtt: Type.Object({
    url: Type.String({ maxLength: 500 }),
    username: Type.String({ maxLength: 64 }),
    /** The board's own secret; the server keeps only its hash. */
    password: Type.String({ maxLength: 200 }),
  }),
  /** Ed25519 public keys (SPKI, PEM) that sign desired states and commands. */
  serverKeys: Type.Array(Type.String({ maxLength: 1000 }), { minItems: 1, maxItems: 8 }),
  /** The TUF root the board begins to trust from: signed JSON metadata as text. */
  tufRoot: Type.String({ maxLength: 65_536 }),
});
export type EnrollResponse = Static<typeof EnrollResponse>;
