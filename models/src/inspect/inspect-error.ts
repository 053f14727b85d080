export type InspectErrorCode =
  /** Nothing can be read at the path. */
  | 'FILE_UNREADABLE'
  /** More bytes than a model for a board has. */
  | 'FILE_TOO_LARGE'
  /** The bytes are neither ONNX nor TensorFlow.js. */
  | 'NOT_A_MODEL';

/** Why a file cannot be inspected; the message names what was found and the way out. */
export class InspectError extends Error {
  override readonly name = 'InspectError';
  readonly code: InspectErrorCode;

  constructor(code: InspectErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
