import type { Readable } from 'node:stream';

export const MLFLOW_CODES = [
  /** No answer, or one that says to come back later: the same may succeed then. */
  'MLFLOW_UNREACHABLE',
  'MLFLOW_UNAUTHORIZED',
  /** There is no such model, version, alias, run or file. */
  'MLFLOW_UNKNOWN',
  'MLFLOW_REFUSED',
  'MLFLOW_ANSWER_INVALID',
  /** The artifacts lie where only their owner can read them. */
  'MLFLOW_ARTIFACT_UNREACHABLE',
] as const;
export type MlflowCode = (typeof MLFLOW_CODES)[number];

/** What an MLflow server refuses or fails at; one line without credentials. */
export class MlflowError extends Error {
  constructor(
    readonly code: MlflowCode,
    message: string,
  ) {
    super(message);
  }
}

export interface MlflowVersion {
  model: string;
  version: string;
  /** Where its artifacts are. */
  source: string;
  runId: string | null;
}

export interface MlflowFile {
  /** Below the folder that was listed. */
  name: string;
  folder: boolean;
  /** Bytes, as the server says; null: it does not. */
  bytes: number | null;
}

export interface MlflowMetric {
  key: string;
  value: number;
  /** Ms since 1970. */
  timestamp: number;
  step: number;
}

/** An MLflow tracking server and its model registry. Every call may throw MlflowError. */
export interface MlflowServer {
  /** Without credentials. */
  readonly url: string;
  version(model: string, which: { version: string } | { alias: string }): Promise<MlflowVersion>;
  /** Newest value of each metric of a run. */
  metrics(runId: string): Promise<Record<string, number>>;
  /** Where the tracking server serves a version's artifacts. */
  artifactRoot(version: MlflowVersion): Promise<string>;
  list(folder: string): Promise<MlflowFile[]>;
  download(path: string): Promise<Readable>;
  log(runId: string, metrics: readonly MlflowMetric[], tags: Readonly<Record<string, string>>): Promise<void>;
  setAlias(model: string, alias: string, version: string): Promise<void>;
  tagVersion(model: string, version: string, key: string, value: string): Promise<void>;
}
