/**
 * Life of a package on its way in. `fetching`: this server gets it from elsewhere; `receiving`: a client sends it; then it is
 * verified, and taken (`done`) or not (`refused`). An end is for ever: the same package again is a new upload.
 */
export const UPLOAD_STATES = ['fetching', 'receiving', 'verifying', 'done', 'refused'] as const;
export type UploadState = (typeof UPLOAD_STATES)[number];

/** A version of a registered model on an MLflow server, by number or by alias. */
export interface MlflowSource {
  kind: 'mlflow';
  model: string;
  version?: string;
  alias?: string;
}

export type UploadSource =
  | {
      kind: 'client';
      /** Name of the replica that holds the bytes; absent in uploads of older servers. */
      replica?: string;
    }
  | MlflowSource;

/** Why a package was not taken. */
export interface UploadFailure {
  code: string;
  packageCode?: string;
  detail: string;
}

/** Where the next bytes belong: the client's offset must be what is there. */
export type PieceVerdict =
  | { ok: true; room: number }
  | { ok: false; code: 'UPLOAD_OFFSET_WRONG' | 'UPLOAD_CLOSED'; detail: string };

/** May bytes be added at `offset` of an upload of which `received` of `bytes` bytes are there? */
export function checkPiece(
  upload: { state: UploadState; bytes: number | null },
  received: number,
  offset: number,
): PieceVerdict {
  if (upload.state !== 'receiving') {
    return { ok: false, code: 'UPLOAD_CLOSED', detail: `the upload is ${upload.state}; it takes no more bytes` };
  }
  if (offset !== received) {
    const detail = `Upload-Offset is ${offset}, ${received} bytes are here; go on from there`;
    return { ok: false, code: 'UPLOAD_OFFSET_WRONG', detail };
  }
  return { ok: true, room: (upload.bytes ?? 0) - received };
}
