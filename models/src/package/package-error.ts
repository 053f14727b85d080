/** Why a package was refused. Tests and operators read codes, not wording. */
export const PACKAGE_ERROR_CODES = [
  'PACKAGE_NOT_FOUND',
  'MANIFEST_MISSING',
  'MANIFEST_INVALID',
  'FILE_MISSING',
  'DIGEST_MISMATCH',
  'LABELS_INVALID',
  'TOO_LARGE',
  'TOO_MANY_FILES',
  'PATH_UNSAFE',
  'ARCHIVE_INVALID',
  'TARGET_NOT_EMPTY',
  'ENGINE_UNSUPPORTED',
  'MODEL_LOAD_FAILED',
  'MODEL_INPUT_MISMATCH',
  'MODEL_OUTPUT_MISMATCH',
  'PICTURE_INVALID',
  'GOLDEN_MISMATCH',
] as const;
export type PackageErrorCode = (typeof PACKAGE_ERROR_CODES)[number];

/** A package (or a picture given to it) that cannot be used as it is. The message names field, value and way out. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
  readonly code: PackageErrorCode;

  constructor(code: PackageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
