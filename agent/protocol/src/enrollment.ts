import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from './identifiers.js';

const Pem = (maxLength: number) => Type.String({ pattern: '^-----BEGIN [A-Z ]+-----', maxLength });

/** Body of `POST /api/v1/enroll`: a board trades a single-use token for its own certificate. */
export const EnrollRequest = Type.Object({
  /** `vge_SECRET.FINGERPRINT`; only the part before the point is sent: the fingerprint is for the board. */
  token: Type.String({ minLength: 16, maxLength: 200 }),
  deviceId: DeviceId,
  hardwareClass: Type.String({ minLength: 1, maxLength: 64 }),
  agentVersion: Type.String({ minLength: 1, maxLength: 64 }),
  /** PKCS #10 request (PEM) signed by the key that the board made (ECDSA P-256); its subject is not believed. */
  csr: Pem(4000),
});
export type EnrollRequest = Static<typeof EnrollRequest>;

/** What identifies a board from now on; also the answer to a renewal. */
export const DeviceCertificate = Type.Object({
  /** X.509 certificate (PEM): common name = device id, extended key usage clientAuth. */
  certificate: Pem(8000),
  /** Certificates (PEM) of the private CA that the fleet's servers are checked against. */
  authorities: Type.Array(Pem(8000), { minItems: 1, maxItems: 4 }),
});
export type DeviceCertificate = Static<typeof DeviceCertificate>;

export const EnrollResponse = Type.Composite([
  DeviceCertificate,
  Type.Object({
    deviceId: DeviceId,
    /** `lab`: the board may benchmark what is not certified; absent: it may not. */
    role: Type.Optional(Type.Union([Type.Literal('standard'), Type.Literal('lab')])),
    /** An operator has to approve the board first: until then it may report, and is told nothing. */
    pending: Type.Optional(Type.Boolean()),
    /** Broker: `mqtts://host:8883`. */
    mqtt: Type.Object({ url: Type.String({ pattern: '^mqtts://', maxLength: 500 }) }),
    /** The fleet server as boards reach it: renewal, and files by HTTPS. Asks for the board's certificate. */
    https: Type.Object({ url: Type.String({ pattern: '^https://', maxLength: 500 }) }),
    /** Ed25519 public keys (SPKI, PEM) that sign desired states and commands. */
    serverKeys: Type.Array(Type.String({ maxLength: 1000 }), { minItems: 1, maxItems: 8 }),
    /** The TUF root the board begins to trust from: signed JSON metadata as text. */
    tufRoot: Type.String({ maxLength: 65_536 }),
  }),
]);
export type EnrollResponse = Static<typeof EnrollResponse>;

/** Body of `POST /api/v1/renew`, over mutual TLS: the certificate of the connection says whose it is. */
export const RenewRequest = Type.Object({ csr: Pem(4000) });
export type RenewRequest = Static<typeof RenewRequest>;
