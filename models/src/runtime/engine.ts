import type { InputSpec } from '../package/manifest.js';
import type { OutputTensor } from './decoder.js';

/** An input or output as a model file declares it. */
export interface ModelValue {
  /** Names by which a manifest may call it, the usual one first. */
  names: readonly string[];
  /** `float32`, `int64`, ... as the engine calls it; undefined where the file does not say. */
  dtype: string | undefined;
  /** null: any size; undefined where the file does not say. */
  dims: readonly (number | null)[] | undefined;
}

export interface ModelInput extends ModelValue {
  /** The manifest's `input.dtype`s that the engine can feed it with. */
  feeds: readonly InputSpec['dtype'][];
  /** Whether the engine can give it constants. */
  constant?: boolean;
}

export interface ModelOutput extends ModelValue {
  /** False for what has no numbers: strings, sequences. */
  readable: boolean;
}

/** A model in memory, whatever calculates it. One inference at a time. */
export interface Engine {
  /** E.g. `onnxruntime-node 1.30.0 cpu`. */
  readonly runtime: string;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  /**
   * Binds the memory of the input and the outputs to be read, once. Each call of the result is one inference on what
   * `input.data` holds then; what it gives may be overwritten by the next, and is the same object only when the sizes in
   * it are. `dims` of an output, where all are known, let an engine allocate it beforehand. Outputs that are not named are
   * not fetched. `constants`: the values of the model's other inputs, by name; their number fits the declared sizes.
   */
  bind(
    input: { name: string; data: Float32Array | Uint8Array; dims: readonly number[] },
    outputs: readonly { name: string; dims: readonly number[] | undefined }[],
    constants?: Readonly<Record<string, readonly number[]>>,
  ): () => Promise<Readonly<Record<string, OutputTensor>>>;
  close(): Promise<void>;
}
