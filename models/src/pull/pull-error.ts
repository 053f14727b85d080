export type PullErrorCode =
  /** No such name in the catalogue, or no URL and hash given. */
  | 'MODEL_UNKNOWN'
  /** Another scheme than https, or credentials in it. */
  | 'URL_REFUSED'
  /** The server does not have it (4xx). */
  | 'NOT_FOUND'
  /** The network, or the server (5xx), failed more often than it was tried again. */
  | 'NETWORK_FAILED'
  /** Nothing came for too long, or all of it took too long. */
  | 'TIMED_OUT'
  /** More bytes than a model has, or than the catalogue says. */
  | 'TOO_LARGE'
  /** The bytes are not the pinned ones; they were deleted. */
  | 'HASH_MISMATCH';

/** Why a model was not fetched; the message names what was found and the way out. */
export class PullError extends Error {
  override readonly name = 'PullError';
  readonly code: PullErrorCode;

  constructor(code: PullErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
