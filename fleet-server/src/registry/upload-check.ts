import { MAX_METADATA_BYTES, type ReleaseDescriptor } from '@vigie/protocol';
import type { ReleaseState } from './release-state.js';

/** A release of the same name and version that the registry already holds. */
export interface ExistingRelease {
  digest: string;
  state: ReleaseState;
}

export type UploadVerdict =
  | { kind: 'accept' }
  | { kind: 'same' }
  | {
      kind: 'refuse';
      code: 'RELEASE_VERSION_TAKEN' | 'RELEASE_WITHDRAWN' | 'DESCRIPTOR_TOO_LARGE' | 'REGISTRY_FULL';
      detail: string;
    };

/**
 * May this package become a release? The same digest again is the same release: an upload may be repeated after a cut.
 * `metadataBytes`: what the larger of `targets` and `certified` would take with it.
 */
export function checkUpload(
  descriptor: Pick<ReleaseDescriptor, 'name' | 'version' | 'digest'>,
  descriptorBytes: number,
  existing: ExistingRelease | null,
  metadataBytes: number,
): UploadVerdict {
  const label = `${descriptor.name}@${descriptor.version}`;
  if (existing?.state === 'withdrawn') {
    return {
      kind: 'refuse',
      code: 'RELEASE_WITHDRAWN',
      detail: `${label} was withdrawn; publish the package under a new version`,
    };
  }
  if (existing !== null && existing.digest === descriptor.digest) return { kind: 'same' };
  if (existing !== null) {
    const detail = `${label} exists with digest ${existing.digest}, this package has ${descriptor.digest}; give it a new version`;
    return { kind: 'refuse', code: 'RELEASE_VERSION_TAKEN', detail };
  }
  if (descriptorBytes > MAX_METADATA_BYTES) {
    const detail = `the descriptor of ${label} is ${descriptorBytes} bytes, boards take at most ${MAX_METADATA_BYTES}; use fewer or smaller files`;
    return { kind: 'refuse', code: 'DESCRIPTOR_TOO_LARGE', detail };
  }
  if (metadataBytes > MAX_METADATA_BYTES) {
    const detail = `with ${label} the list of releases would take ${metadataBytes} bytes, boards take at most ${MAX_METADATA_BYTES}; withdraw old releases first`;
    return { kind: 'refuse', code: 'REGISTRY_FULL', detail };
  }
  return { kind: 'accept' };
}
