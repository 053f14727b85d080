import type { Precision } from '@vigie/protocol';

/** A size of a tensor: a number, the name of a symbolic size, or null where the file says nothing. */
export type Dimension = number | string | null;

export interface TensorFacts {
  name: string;
  /** `float32`, `uint8`, `int64`, ... */
  dtype: string;
  /** Null: not even the rank is known. */
  dims: Dimension[] | null;
  /** Operator that makes it; absent for inputs. */
  madeBy?: string;
}

/** What a model file says of itself, without being run. */
export interface ModelFacts {
  engine: 'onnx' | 'tfjs';
  /** Pictures and whatever else is fed per frame; weights are not listed. */
  inputs: TensorFacts[];
  outputs: TensorFacts[];
  /** Version of the default operator set; null for TensorFlow.js. */
  opset: number | null;
  producer: string;
  /** How often each operator stands in the graph. */
  operators: Record<string, number>;
  /** Numbers that were trained: weights and biases, without the scales of a quantized model. */
  parameters: number;
  precision: Precision;
  /** static: activations have fixed scales; dynamic: they are measured per frame; null: not quantized. */
  quantized: 'static' | 'dynamic' | null;
  /** Multiply-accumulates of one frame; null where shapes are missing. */
  macs: number | null;
  /** Key-value pairs of the exporter, cut to 2000 characters each. */
  metadata: Record<string, string>;
  /** Labels by class id, where the exporter wrote them down. */
  labels: string[] | null;
}

/** The sizes of a tensor, null for every one that is not a number; empty when nothing is known. */
export function sizesOf(tensor: TensorFacts): (number | null)[] {
  return (tensor.dims ?? []).map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null));
}
