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
  'PATH_COLLISION',
  'ARCHIVE_INVALID',
  'ARCHIVE_COMPRESSED',
  'TARGET_NOT_EMPTY',
  'ENGINE_UNSUPPORTED',
  'MODEL_EXTERNAL_DATA',
  'MODEL_LOAD_FAILED',
  'MODEL_INPUT_MISMATCH',
  'MODEL_OUTPUT_MISMATCH',
  'PICTURE_INVALID',
  'GOLDEN_MISMATCH',
  'VERIFICATION_TIMEOUT',
  'VERIFICATION_OUT_OF_MEMORY',
  'VERIFICATION_CRASHED',
] as const;
export type PackageErrorCode = (typeof PACKAGE_ERROR_CODES)[number];

/** A package (or a picture given to it) that cannot be used as it is. The message names field, value and way out. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
  readonly code: PackageErrorCode;

  constructor(code: PackageErrorCode, message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.code = code;
  }
}

const MAX_MESSAGE = 1000;

/** Messages quote foreign text, and go to terminals, logs and JSON: one line, bounded, control characters escaped. */
function oneLine(message: string): string {
  const short = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 3)}...` : message;
  return short.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
