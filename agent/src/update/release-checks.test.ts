import { packageDigest } from '@vigie/models/package/digest';
import type { ReleaseDescriptor } from '@vigie/protocol';
import { describe, expect, test } from 'vitest';
import { InstallError } from './install-error.js';
import {
  checkDescriptor,
  checkRequirements,
  checkRoom,
  compareVersions,
  DISK_RESERVE_BYTES,
} from './release-checks.js';

function codeOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof InstallError) return error.code;
    throw error;
  }
  return 'ok';
}

describe('a descriptor', () => {
  const files = [
    { path: 'model.onnx', size: 70_000, sha256: 'a'.repeat(64), chunks: ['b'.repeat(64), 'c'.repeat(64)] },
  ];
  const descriptor: ReleaseDescriptor = {
    name: 'person',
    version: '1.0.0',
    digest: packageDigest(files),
    precision: 'int8',
    labels: ['person'],
    files,
    requires: {},
  };
  const reference = { name: 'person', version: '1.0.0', digest: descriptor.digest };

  test('must be of the release, with the right digest and chunks', () => {
    expect(codeOf(() => checkDescriptor(descriptor, reference))).toBe('ok');
    expect(codeOf(() => checkDescriptor(descriptor, { ...reference, name: 'face' }))).toBe('DESCRIPTOR_INVALID');
    expect(codeOf(() => checkDescriptor(descriptor, { ...reference, digest: 'f'.repeat(64) }))).toBe('DIGEST_MISMATCH');
    const lie = { ...descriptor, files: [{ ...files[0], sha256: 'd'.repeat(64) }] };
    expect(codeOf(() => checkDescriptor(lie, reference))).toBe('DIGEST_MISMATCH');
    const short = { ...descriptor, files: [{ ...files[0], chunks: ['b'.repeat(64)] }] };
    expect(codeOf(() => checkDescriptor(short, reference))).toBe('DESCRIPTOR_INVALID');
    const twice = { ...descriptor, files: [files[0], files[0]] };
    expect(codeOf(() => checkDescriptor(twice, reference))).toBe('DESCRIPTOR_INVALID');
  });
});

test('requirements: agent and hardware class', () => {
  const board = { agentVersion: '1.2.0', hardwareClass: 'rpi4-2g' };
  expect(codeOf(() => checkRequirements({}, board))).toBe('ok');
  expect(codeOf(() => checkRequirements({ agent: '1.2.0', hardwareClasses: ['rpi4-2g'] }, board))).toBe('ok');
  expect(codeOf(() => checkRequirements({ agent: '1.2.1' }, board))).toBe('AGENT_TOO_OLD');
  expect(codeOf(() => checkRequirements({ hardwareClasses: ['rpi5-8g'] }, board))).toBe('HARDWARE_NOT_SUPPORTED');
});

test('room: the reserve stays free', () => {
  expect(codeOf(() => checkRoom(1000, 1000 + DISK_RESERVE_BYTES))).toBe('ok');
  expect(codeOf(() => checkRoom(1001, 1000 + DISK_RESERVE_BYTES))).toBe('DISK_FULL');
});

test('versions by the precedence of semver.org, clause 11', () => {
  const ascending = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.9.0',
    '1.10.0',
    '2.0.0',
  ];
  for (let i = 1; i < ascending.length; i += 1) {
    expect(compareVersions(ascending[i - 1], ascending[i])).toBeLessThan(0);
    expect(compareVersions(ascending[i], ascending[i - 1])).toBeGreaterThan(0);
  }
  expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0);
});
