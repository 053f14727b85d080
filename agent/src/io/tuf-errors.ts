import type { InstallErrorCode } from '@vigie/protocol';
import { InstallError } from '../update/install-error.js';
import {
  MetadataMalformedError,
  MetadataMismatchError,
  MetadataTooLargeError,
  MetadataUnavailableError,
} from './metadata-source.js';

/**
 * What an error says about metadata. `parsed`: it was thrown while metadata was read (then JavaScript's own errors mean
 * malformed metadata, not a bug). Errors of tuf-js and @tufjs/models are known by class name: two copies of a library
 * in one tree must not blind us.
 */
export function tufErrorCode(error: unknown, parsed: boolean): InstallErrorCode {
  if (error instanceof InstallError) return error.code;
  if (error instanceof MetadataUnavailableError) return 'TUF_UNAVAILABLE';
  if (error instanceof MetadataTooLargeError) return 'TUF_TOO_LARGE';
  if (error instanceof MetadataMismatchError) return 'TUF_MISMATCH';
  if (error instanceof MetadataMalformedError) return 'TUF_MALFORMED';
  const name = error instanceof Error ? error.constructor.name : '';
  const message = error instanceof Error ? error.message : '';
  switch (name) {
    case 'UnsignedMetadataError':
    case 'CryptoError':
    case 'UnsupportedAlgorithmError':
      return 'TUF_SIGNATURE_INVALID';
    case 'ExpiredMetadataError':
      return 'TUF_EXPIRED';
    case 'BadVersionError':
      return isRollback(message) ? 'TUF_ROLLBACK' : 'TUF_MISMATCH';
    case 'RepositoryError':
      // A role that the trusted snapshot listed and the new one does not (TUF specification 1.0.31, 5.5.5).
      return message.includes('in new snapshot') ? 'TUF_ROLLBACK' : 'TUF_MISMATCH';
    case 'DownloadHTTPError':
      return 'TUF_UNAVAILABLE';
    case 'PersistError':
      return message.includes('ENOSPC') ? 'DISK_FULL' : 'DISK_ERROR';
    case 'SyntaxError':
    case 'TypeError':
    case 'ValueError':
    case 'RangeError':
      return parsed ? 'TUF_MALFORMED' : 'TUF_MISMATCH';
    default:
      return 'TUF_MISMATCH';
  }
}

/** The same class says "older than what I trusted before" and "not the version that was announced". */
function isRollback(message: string): boolean {
  if (message.includes('less than current version')) return true;
  const root = /^Expected version (\d+), got (-?\d+)$/.exec(message);
  return root !== null && Number(root[2]) < Number(root[1]);
}
