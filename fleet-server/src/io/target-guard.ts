import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** The name leads to no address that may be called. */
export class TargetError extends Error {
  constructor(
    readonly code: 'TARGET_FORBIDDEN' | 'TARGET_UNRESOLVED',
    message: string,
  ) {
    super(message);
  }
}

export type Resolve = (host: string) => Promise<LookupAddress[]>;

const resolveBySystem: Resolve = (host) =>
  new Promise((resolve, reject) =>
    systemLookup(host, { all: true, verbatim: true }, (error, addresses) =>
      error ? reject(error) : resolve(addresses),
    ),
  );

/**
 * Special-purpose addresses (IANA registries of RFC 6890): nothing in them is a receiver on the internet. IPv4 in IPv6
 * (`::ffff:…`) is held against the IPv4 rules by BlockList; a rule for all of it would catch every IPv4 address.
 */
const SPECIAL: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

/**
 * Decides which address of a host may be called (against server-side request forgery). Looked up once and handed on as the
 * answer of every later look-up, so that a name cannot lead elsewhere between the check and the call.
 */
export class TargetGuard {
  readonly #special = new BlockList();
  readonly #allowed = new BlockList();

  /** `allowed`: networks such as `10.1.0.0/16` that may be called although they are private. */
  constructor(
    allowed: readonly string[],
    private readonly resolve: Resolve = resolveBySystem,
  ) {
    for (const [network, prefix] of SPECIAL) this.#special.addSubnet(network, prefix, family(network));
    for (const network of allowed) {
      const [address, prefix] = network.split('/');
      this.#allowed.addSubnet(address, Number(prefix), family(address));
    }
  }

  /** A host's address that may be called. Every one of its addresses must be allowed. Throws TargetError. */
  async admit(host: string): Promise<LookupAddress> {
    const name = host.replace(/^\[|\]$/g, '');
    let addresses: LookupAddress[];
    try {
      addresses = isIP(name) === 0 ? await this.resolve(name) : [{ address: name, family: isIP(name) }];
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new TargetError('TARGET_UNRESOLVED', `${name}: has no address (${code ?? message})`);
    }
    if (addresses.length === 0) throw new TargetError('TARGET_UNRESOLVED', `${name}: has no address`);
    const forbidden = addresses.find(({ address }) => !this.#mayCall(address));
    if (forbidden !== undefined) {
      throw new TargetError(
        'TARGET_FORBIDDEN',
        `${name}: ${forbidden.address} is private or reserved; add its network to notifications.privateTargets if it is meant`,
      );
    }
    return addresses[0];
  }

  #mayCall(address: string): boolean {
    const of = family(address);
    return this.#allowed.check(address, of) || !this.#special.check(address, of);
  }
}

/** For `net.connect` and what stands on it: always answers this address. */
export function pinned(address: LookupAddress): LookupFunction {
  return (_host, options, answer) => {
    if (options.all) (answer as unknown as (error: null, addresses: LookupAddress[]) => void)(null, [address]);
    else answer(null, address.address, address.family);
  };
}

const family = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');
