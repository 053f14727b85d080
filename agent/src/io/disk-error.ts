import { InstallError } from '../update/install-error.js';

const FULL = new Set(['ENOSPC', 'EDQUOT']);
const BROKEN = new Set(['EIO', 'EROFS', 'ENODEV', 'ENXIO']);

/** A fault of the disk as the error that is reported: DISK_FULL or DISK_ERROR; any other error as it is. */
export function asDiskError(error: unknown): unknown {
  if (error instanceof InstallError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && FULL.has(code)) return new InstallError('DISK_FULL', message, { cause: error });
  if (code !== undefined && BROKEN.has(code)) return new InstallError('DISK_ERROR', message, { cause: error });
  return error;
}
