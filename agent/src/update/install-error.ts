import type { InstallErrorCode } from '@vigie/protocol';

/** Why an install stopped, with the code that is reported to the server. */
export class InstallError extends Error {
  override readonly name = 'InstallError';
  readonly code: InstallErrorCode;

  constructor(code: InstallErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT']);
const BROKEN = new Set(['EIO', 'EROFS', 'ENODEV', 'ENXIO', 'EUCLEAN']);

/** Wraps whatever was thrown: our own errors keep their code, a disk that is full or broken says so, the rest is INTERNAL. */
export function asInstallError(error: unknown): InstallError {
  if (error instanceof InstallError) return error;
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const message = error instanceof Error ? error.message : String(error);
  if (code !== undefined && FULL.has(code)) return new InstallError('DISK_FULL', message, { cause: error });
  if (code !== undefined && BROKEN.has(code)) return new InstallError('DISK_ERROR', message, { cause: error });
  return new InstallError('INTERNAL', message, { cause: error });
}
