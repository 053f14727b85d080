/** One measurement that a manifest claims, e.g. `{dataset: 'coco-val', ap50: 0.41}`. */
export type ManifestMetric = Record<string, string | number>;

/** What a manifest says and boards need not hear: kept beside the descriptor for people and comparisons. */
export interface ManifestSummary {
  task: 'detect' | 'classify';
  license: string;
  engine: 'onnx' | 'tfjs';
  /** Path of the model in the package. */
  modelFile: string;
  /** Pixels. */
  input: { width: number; height: number };
  provenance: Record<string, string>;
  metrics: ManifestMetric[];
}

/** The part of a manifest that this keeps. */
interface ManifestLike {
  task: 'detect' | 'classify';
  license: string;
  model: { engine: 'onnx' | 'tfjs'; file: string };
  input: { width: number; height: number };
  provenance?: Record<string, string>;
  metrics?: ManifestMetric[];
}

export function summarise(manifest: ManifestLike): ManifestSummary {
  const { task, license, model, input, provenance = {}, metrics = [] } = manifest;
  return {
    ...{ task, license, engine: model.engine, modelFile: model.file },
    input: { width: input.width, height: input.height },
    ...{ provenance, metrics },
  };
}

/** A version of an MLflow model that a release was made of. */
export interface MlflowProvenance {
  kind: 'mlflow';
  /** The tracking server, without credentials. */
  url: string;
  model: string;
  version: string;
  /** The run that trained it; null: the version names none. */
  runId: string | null;
  /** The run's metrics at the time of the import. */
  metrics: Record<string, number>;
  importedAt: string;
}
export type ReleaseProvenance = MlflowProvenance;
