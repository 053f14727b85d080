import { Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;
const Whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });

/** `access:` of the server's configuration: logins, and how much one may ask. */
export const AccessConfig = Type.Object(
  {
    sessionIdleMinutes: Whole(60, 1, 10_080, 'a login that is not used for so long ends, minutes'),
    sessionHours: Whole(12, 1, 720, 'a login ends after so long in any case, hours'),
    loginFailures: Whole(5, 1, 100, 'failed logins of one account from one network before it is locked'),
    lockoutMinutes: Whole(5, 1, 1440, 'first lock of an account for a network, minutes; each further one doubles'),
    scryptLogN: Whole(15, 12, 20, 'cost of a password hash: log2 of N of scrypt, with r 8 and p 3; 15 takes 32 MiB'),
    requestsPerSecond: Whole(100, 1, 1_000_000, 'requests of one token or login, on average, 1/s'),
    requestBurst: Whole(1000, 1, 1_000_000, 'requests of one token or login at once'),
    anonymousPerSecond: Whole(200, 1, 1_000_000, 'requests of one network that show no token, on average, 1/s'),
    anonymousBurst: Whole(2000, 1, 1_000_000, 'requests of one network that show no token, at once'),
    refusedBurst: Whole(60, 1, 1_000_000, 'tokens and logins of one network that do not count, at once; then 1/s'),
    streams: Whole(200, 1, 100_000, 'open live streams of one server process'),
  },
  { ...Strict, default: {} },
);
