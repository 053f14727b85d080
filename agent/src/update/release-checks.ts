import { packageDigest } from '@vigie/models/package/digest';
import { chunkLayout, type ReleaseDescriptor, type ReleaseReference } from '@vigie/protocol';
import { InstallError } from './install-error.js';

/** Room that must stay free on the disk beyond the package: journals, logs, the next metadata. Bytes. */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;

/** Does the descriptor describe the release that was asked for, and does it hold together? Throws InstallError. */
export function checkDescriptor(descriptor: ReleaseDescriptor, release: ReleaseReference): void {
  for (const field of ['name', 'version'] as const) {
    if (descriptor[field] !== release[field]) {
      throw new InstallError('DESCRIPTOR_INVALID', `${field} is "${descriptor[field]}", not "${release[field]}"`);
    }
  }
  const paths = new Set<string>();
  for (const file of descriptor.files) {
    if (paths.has(file.path)) throw new InstallError('DESCRIPTOR_INVALID', `file "${file.path}" stands twice in it`);
    paths.add(file.path);
    try {
      chunkLayout(file);
    } catch (error) {
      throw new InstallError('DESCRIPTOR_INVALID', (error as Error).message, { cause: error });
    }
  }
  const actual = packageDigest(descriptor.files);
  if (descriptor.digest !== release.digest || actual !== release.digest) {
    throw new InstallError(
      'DIGEST_MISMATCH',
      `the publisher signed ${actual} as ${release.name} ${release.version}, the server asked for ${release.digest}`,
    );
  }
}

/** Can this board run it at all? Throws InstallError AGENT_TOO_OLD or HARDWARE_NOT_SUPPORTED. */
export function checkRequirements(
  requires: ReleaseDescriptor['requires'],
  board: { agentVersion: string; hardwareClass: string },
): void {
  if (requires.agent !== undefined && compareVersions(board.agentVersion, requires.agent) < 0) {
    throw new InstallError('AGENT_TOO_OLD', `needs agent ${requires.agent}, this is ${board.agentVersion}`);
  }
  const classes = requires.hardwareClasses ?? [];
  if (classes.length > 0 && !classes.includes(board.hardwareClass)) {
    throw new InstallError(
      'HARDWARE_NOT_SUPPORTED',
      `meant for ${classes.join(', ')}; this board is ${board.hardwareClass}`,
    );
  }
}

/** Throws InstallError DISK_FULL when the missing bytes do not fit beside the reserve. */
export function checkRoom(missingBytes: number, freeBytes: number): void {
  if (missingBytes + DISK_RESERVE_BYTES > freeBytes) {
    throw new InstallError(
      'DISK_FULL',
      `${missingBytes} bytes to fetch and ${DISK_RESERVE_BYTES} to spare do not fit into ${freeBytes} free ones`,
    );
  }
}

/** Orders semantic versions by precedence (semver.org 2.0.0, clause 11): negative, zero or positive. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => {
    const [core, ...rest] = version.split('+')[0].split('-');
    return { core: core.split('.').map(Number), pre: rest.length > 0 ? rest.join('-').split('.') : null };
  });
  for (let i = 0; i < 3; i += 1) if (left.core[i] !== right.core[i]) return left.core[i] - right.core[i];
  if (left.pre === null || right.pre === null) return Number(left.pre === null) - Number(right.pre === null);
  for (let i = 0; i < Math.max(left.pre.length, right.pre.length); i += 1) {
    const [x, y] = [left.pre[i], right.pre[i]];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    if (x === y) continue;
    const [xIsNumber, yIsNumber] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (xIsNumber && yIsNumber) return Number(x) - Number(y);
    if (xIsNumber !== yIsNumber) return xIsNumber ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
