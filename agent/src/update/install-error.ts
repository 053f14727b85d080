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

/**
 * Causes that lie outside the package and may pass by themselves: the same generation is tried again after a while.
 * They say nothing about the model, so they are never held against its digest.
 */
const TRANSIENT: ReadonlySet<InstallErrorCode> = new Set([
  'TUF_EXPIRED',
  'TUF_UNAVAILABLE',
  'TARGET_UNKNOWN',
  'DISK_FULL',
  'CHUNK_MISSING',
  'INTERNAL',
]);

/** What the model itself did wrong on this board: remembered, and not tried again unless asked with `retry`. */
const MODEL_FAULT: ReadonlySet<InstallErrorCode> = new Set([
  'PACKAGE_INVALID',
  'MODEL_LOAD_FAILED',
  'GOLDEN_MISMATCH',
  'TRIAL_CHILD_CRASHED',
  'TRIAL_TOO_SLOW',
  'TRIAL_DISAGREES',
]);

export function isTransient(code: InstallErrorCode): boolean {
  return TRANSIENT.has(code);
}

export function isModelFault(code: InstallErrorCode): boolean {
  return MODEL_FAULT.has(code);
}

/** Wraps whatever was thrown: our own errors keep their code, a full disk is DISK_FULL, the rest is INTERNAL. */
export function asInstallError(error: unknown): InstallError {
  if (error instanceof InstallError) return error;
  if ((error as NodeJS.ErrnoException | null)?.code === 'ENOSPC') {
    return new InstallError('DISK_FULL', (error as Error).message, { cause: error });
  }
  return new InstallError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
}
