import { MAX_METADATA_BYTES } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { defaultCertificate } from './certification.js';
import { admit, DEFAULT_POLICY, RELEASE_STATES, transition } from './release-state.js';
import { checkUpload } from './upload-check.js';

describe('release states', () => {
  it('go one step forward, or are withdrawn from anywhere', () => {
    const allowed = RELEASE_STATES.flatMap((from) =>
      RELEASE_STATES.filter((to) => transition(from, to).ok).map((to) => `${from} > ${to}`),
    );
    expect(allowed).toEqual([
      'candidate > benchmarked',
      'candidate > withdrawn',
      'benchmarked > approved',
      'benchmarked > withdrawn',
      'approved > released',
      'approved > withdrawn',
      'released > withdrawn',
      'withdrawn > withdrawn',
    ]);
  });

  it('name the policy only when it let the release through', () => {
    expect(admit(DEFAULT_POLICY)).toEqual({ state: 'released', certifiedBy: 'default-policy' });
    expect(admit({ name: 'gate', path: ['benchmarked'] })).toEqual({ state: 'benchmarked', certifiedBy: null });
    expect(() => admit({ name: 'shortcut', path: ['released'] })).toThrow(RangeError);
  });
});

describe('checkUpload', () => {
  const descriptor = { name: 'm', version: '1.0.0', digest: 'a'.repeat(64) };
  const code = (verdict: ReturnType<typeof checkUpload>) => (verdict.kind === 'refuse' ? verdict.code : verdict.kind);

  it('takes new packages, knows the same one again, refuses the rest', () => {
    expect(code(checkUpload(descriptor, 1000, null, 0))).toBe('accept');
    expect(code(checkUpload(descriptor, 1000, { digest: descriptor.digest, state: 'released' }, 1))).toBe('same');
    expect(code(checkUpload(descriptor, 1000, { digest: 'b'.repeat(64), state: 'released' }, 1))).toBe(
      'RELEASE_VERSION_TAKEN',
    );
    expect(code(checkUpload(descriptor, 1000, { digest: descriptor.digest, state: 'withdrawn' }, 1))).toBe(
      'RELEASE_WITHDRAWN',
    );
    expect(code(checkUpload(descriptor, MAX_METADATA_BYTES, null, MAX_METADATA_BYTES))).toBe('accept');
    expect(code(checkUpload(descriptor, MAX_METADATA_BYTES + 1, null, 0))).toBe('DESCRIPTOR_TOO_LARGE');
    expect(code(checkUpload(descriptor, 1000, null, MAX_METADATA_BYTES + 1))).toBe('REGISTRY_FULL');
  });
});

describe('defaultCertificate', () => {
  const release = { digest: 'a'.repeat(64), requires: {}, createdAt: new Date('2026-11-21T07:00:00.000Z') };
  const grant = { policy: 'default-policy', measured: {}, grantedAt: '2026-11-21T07:00:00.000Z' };

  it('is for every class, or for those that the package names, and says that nothing was measured', () => {
    expect(defaultCertificate(release)).toEqual({ digest: release.digest, grants: [{ hardwareClass: '*', ...grant }] });
    const requires = { hardwareClasses: ['rpi5-8g', 'rpi4-2g', 'rpi5-8g'] };
    expect(defaultCertificate({ ...release, requires }).grants).toEqual([
      { hardwareClass: 'rpi4-2g', ...grant },
      { hardwareClass: 'rpi5-8g', ...grant },
    ]);
  });
});
