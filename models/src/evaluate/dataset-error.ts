export type DatasetErrorCode =
  | 'DATASET_NOT_FOUND'
  | 'DATASET_FORMAT_UNKNOWN'
  | 'DATASET_INVALID'
  | 'DATASET_TOO_LARGE'
  | 'DATASET_EMPTY'
  | 'PICTURE_MISSING'
  | 'PICTURE_INVALID'
  | 'CLASSES_UNMATCHED'
  | 'TASK_MISMATCH';

/** Why a data set cannot be used as it is. The message names file, line and the way out. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
  readonly code: DatasetErrorCode;

  constructor(code: DatasetErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
