import { isIP } from 'node:net';
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
    trustedProxies: Type.Array(Type.String({ minLength: 2, maxLength: 50 }), {
      default: [],
      maxItems: 64,
      description:
        'addresses or networks (10.0.0.5, 10.1.0.0/16, fd00::/8) of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed',
    }),
    streams: Whole(200, 1, 100_000, 'open live streams of one server process'),
  },
  { ...Strict, default: {} },
);

/** What is wrong with the list of proxies, as field and way out; null: nothing. */
export function trustedProxyProblem(proxies: readonly string[]): string | null {
  for (const [index, one] of proxies.entries()) {
    const [address, bits, ...rest] = one.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    const field = `access.trustedProxies.${index}: ${JSON.stringify(one)}`;
    if (
      isIP(address) === 0 ||
      rest.length > 0 ||
      (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most))
    )
      return `${field} is no address or network; use one such as 10.0.0.5 or 10.1.0.0/16`;
    if (bits !== undefined && Number(bits) < 8)
      return `${field} holds half the world, which could then say any address; name the proxies`;
  }
  return null;
}
