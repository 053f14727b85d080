import { groupBytes, parseTfjsModel, type TfjsModelFile } from '../package/tfjs-files.js';
import { InspectError } from './inspect-error.js';
import type { Dimension, ModelFacts, TensorFacts } from './model-facts.js';
import { histogram } from './onnx-facts.js';

type Json = Record<string, unknown>;

/** Reads what a TensorFlow.js `model.json` says of itself; weights are not read. Throws InspectError NOT_A_MODEL. */
export function tfjsFacts(bytes: Uint8Array, file: string): ModelFacts & { weightBytes: number } {
  try {
    return readFacts(parseTfjsModel(bytes, file));
  } catch (error) {
    const detail = error instanceof Error ? error.message.slice(0, 300) : String(error);
    throw new InspectError('NOT_A_MODEL', detail, { cause: error });
  }
}

function readFacts(model: TfjsModelFile): ModelFacts & { weightBytes: number } {
  const { document, kind } = model;
  const topology = objectOf(document.modelTopology);
  const weights = model.groups.flatMap((group) => group.weights);
  // Integers are shapes and indices; they are not trained.
  const trained = weights.filter(({ shape, dtype }) => shape.length > 0 && dtype.startsWith('float'));
  const stored = trained[0]?.quantization?.dtype;
  const graph = kind === 'graph' ? graphFacts(document, topology) : layersFacts(topology);
  return {
    engine: 'tfjs',
    ...graph,
    opset: null,
    producer: [document.generatedBy, document.convertedBy].filter((text) => typeof text === 'string').join(', '),
    parameters: trained.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    precision: stored === 'float16' ? 'fp16' : 'fp32',
    quantized: null,
    macs: null,
    metadata: {},
    labels: null,
    weightBytes: model.groups.reduce((sum, group) => sum + (groupBytes(group) ?? 0), 0),
  };
}

function graphFacts(document: Json, topology: Json): Pick<ModelFacts, 'inputs' | 'outputs' | 'operators'> {
  const nodes = listOf(topology.node);
  // The two writers of signatures put it in two places.
  const signature = objectOf(document.signature ?? objectOf(document.userDefinedMetadata).signature);
  const inputs = signed(signature.inputs);
  const outputs = signed(signature.outputs);
  const placeholders = nodes.filter((node) => node.op === 'Placeholder').map(placeholder);
  const read = new Set(nodes.flatMap((node) => listOfText(node.input).map((name) => name.replace(/:\d+$/, ''))));
  const last = nodes
    .filter(
      (node) => typeof node.name === 'string' && node.op !== 'Const' && node.op !== 'NoOp' && !read.has(node.name),
    )
    .map((node): TensorFacts => ({ name: String(node.name), dtype: 'float32', dims: null }));
  return {
    inputs: inputs.length > 0 ? inputs : placeholders,
    outputs: outputs.length > 0 ? outputs : last,
    operators: histogram(nodes.map((node) => String(node.op)).filter((op) => op !== 'Const')),
  };
}

function signed(side: unknown): TensorFacts[] {
  return Object.entries(objectOf(side)).map(([key, value]) => {
    const { name, dtype, tensorShape } = objectOf(value);
    return { name: typeof name === 'string' ? name : key, dtype: dtypeOf(dtype), dims: dimsOf(tensorShape) };
  });
}

function placeholder(node: Json): TensorFacts {
  const attributes = objectOf(node.attr);
  return {
    name: String(node.name),
    dtype: dtypeOf(objectOf(attributes.dtype).type),
    dims: dimsOf(objectOf(attributes.shape).shape),
  };
}

function dimsOf(shape: unknown): Dimension[] | null {
  const { dim } = objectOf(shape);
  if (!Array.isArray(dim)) return null;
  return dim.map((entry) => {
    const size = Number(objectOf(entry).size);
    return Number.isInteger(size) && size >= 0 ? size : null;
  });
}

/** `DT_FLOAT` in a GraphDef, or its number. */
function dtypeOf(value: unknown): string {
  const names: Record<string, string> = {
    DT_FLOAT: 'float32',
    DT_INT32: 'int32',
    DT_UINT8: 'uint8',
    DT_INT64: 'int64',
    DT_BOOL: 'bool',
    DT_HALF: 'float16',
  };
  return typeof value === 'string' && Object.hasOwn(names, value) ? names[value] : 'unknown';
}

/** A Keras model: its input layers, and the layers that `output_layers` names (or the last one of a Sequential). */
function layersFacts(topology: Json): Pick<ModelFacts, 'inputs' | 'outputs' | 'operators'> {
  const model = objectOf(topology.model_config ?? topology);
  const config = Array.isArray(model.config) ? { layers: model.config } : objectOf(model.config);
  const layers = listOf(config.layers);
  const shapeOf = (layer: Json): unknown =>
    objectOf(layer.config).batch_input_shape ?? objectOf(layer.config).batchInputShape;
  const inputs = layers
    .filter((layer) => Array.isArray(shapeOf(layer)))
    .map(
      (layer): TensorFacts => ({
        name: nameOf(layer),
        dtype: 'float32',
        dims: (shapeOf(layer) as unknown[]).map((size) => (Number.isInteger(size) ? (size as number) : null)),
      }),
    );
  const named = Array.isArray(config.output_layers)
    ? config.output_layers.map((entry: unknown) => String(Array.isArray(entry) ? entry[0] : entry))
    : layers.slice(-1).map(nameOf);
  return {
    inputs: inputs.slice(0, 8),
    outputs: named.map((name) => ({ name, dtype: 'float32', dims: outputDims(layers, name) })),
    operators: histogram(layers.map((layer) => String(layer.class_name))),
  };
}

/** The output of a dense layer is known without following the whole model. */
function outputDims(layers: Json[], name: string): Dimension[] | null {
  const layer = layers.find((one) => nameOf(one) === name);
  const units = objectOf(layer?.config).units;
  return layer?.class_name === 'Dense' && Number.isInteger(units) ? [null, units as number] : null;
}

function nameOf(layer: Json): string {
  return String(objectOf(layer.config).name ?? layer.name);
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function listOfText(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
