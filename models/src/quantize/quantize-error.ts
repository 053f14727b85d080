export type QuantizeErrorCode =
  | 'NOT_ONNX'
  | 'OPSET_UNSUPPORTED'
  | 'INPUT_UNSUPPORTED'
  | 'TENSOR_UNSUPPORTED'
  | 'NOTHING_TO_QUANTIZE'
  | 'CALIBRATION_EMPTY'
  | 'CALIBRATION_FAILED'
  | 'NODE_UNKNOWN'
  | 'MANIFEST_NEEDED'
  | 'DATASET_UNSUITABLE'
  | 'MAX_DROP_UNREACHED';

/** Why a model cannot be quantized; the message names what was found and the way out. */
export class QuantizeError extends Error {
  override readonly name = 'QuantizeError';
  readonly code: QuantizeErrorCode;

  constructor(code: QuantizeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
