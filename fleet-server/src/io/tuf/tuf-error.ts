/** What can go wrong with the repository and with what operators do to it. */
export type TufErrorCode =
  /** Files are damaged, missing or not signed as the root says: the server does not start with them. */
  | 'TUF_REPOSITORY_INVALID'
  /** The private keys of an online role are not in the keys folder. */
  | 'TUF_KEYS_MISSING'
  | 'KEY_INVALID'
  | 'KEY_UNKNOWN'
  | 'KEY_LAST'
  /** Nothing is staged, or something else than what was signed. */
  | 'STAGED_MISMATCH'
  | 'SIGNATURE_INVALID'
  | 'DOCUMENT_INVALID'
  | 'REQUEST_UNFIT'
  /** Metadata would be larger than a board takes. */
  | 'METADATA_TOO_LARGE';

/** One line: what, which value, the way out. */
export class TufError extends Error {
  constructor(
    readonly code: TufErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
