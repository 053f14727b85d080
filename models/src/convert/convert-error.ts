export type ConvertErrorCode =
  | 'NOT_ONNX'
  | 'INPUT_UNSUPPORTED'
  | 'OPERATOR_UNSUPPORTED'
  | 'TENSOR_UNSUPPORTED'
  | 'RESULT_DIFFERS';

/** Why a model cannot be converted; the message names the node and its operator. */
export class ConvertError extends Error {
  override readonly name = 'ConvertError';
  readonly code: ConvertErrorCode;

  constructor(code: ConvertErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
