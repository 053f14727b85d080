import { describe, expect, it } from 'vitest';
import { pinned, TargetGuard } from './target-guard.js';

const guard = (addresses: string[], allowed: string[] = []) =>
  new TargetGuard(allowed, async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  );
const verdict = (host: string, addresses: string[] = [], allowed: string[] = []) =>
  guard(addresses, allowed)
    .admit(host)
    .then(
      ({ address }) => address,
      (error: { code: string }) => error.code,
    );

describe('TargetGuard', () => {
  it.each([
    ...[
      '127.0.0.1',
      '10.1.2.3',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
    ],
    ...[
      '[::1]',
      '[::]',
      '[fe80::1]',
      '[fd00::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:a9fe:a9fe]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
    ],
  ])('refuses %s', async (host) => {
    expect(await verdict(host)).toBe('TARGET_FORBIDDEN');
  });

  it('refuses a name when one of its addresses is private', async () => {
    expect(await verdict('rebind.example', ['93.184.216.34', '10.0.0.1'])).toBe('TARGET_FORBIDDEN');
    expect(await verdict('nowhere.example', [])).toBe('TARGET_UNRESOLVED');
  });

  it('lets public addresses through, and private ones that were allowed', async () => {
    expect(await verdict('hooks.example', ['93.184.216.34'])).toBe('93.184.216.34');
    expect(await verdict('172.32.0.1')).toBe('172.32.0.1');
    expect(await verdict('10.1.2.3', [], ['10.1.0.0/16'])).toBe('10.1.2.3');
    expect(await verdict('10.2.2.3', [], ['10.1.0.0/16'])).toBe('TARGET_FORBIDDEN');
    expect(await verdict('[fd00::1]', [], ['fd00::/8'])).toBe('fd00::1');
  });

  it('answers every later look-up with the address that was checked', () => {
    const answers: unknown[] = [];
    pinned({ address: '93.184.216.34', family: 4 })('evil.example', {}, (_error, address) => answers.push(address));
    expect(answers).toEqual(['93.184.216.34']);
  });
});
