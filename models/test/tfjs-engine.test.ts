import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../src/convert/convert-onnx.js';
import { MODEL_FILE, SHARD_FILE, tfjsModelFiles } from '../src/convert/tfjs-model-files.js';
import { packDirectory, readArchive } from '../src/package/archive.js';
import { describePackage } from '../src/package/descriptor.js';
import { sha256Hex } from '../src/package/digest.js';
import { openPackageDirectory } from '../src/package/package.js';
import { loadModel } from '../src/runtime/load-model.js';
import { chooseTfjsBackend, tfjsBackend } from '../src/runtime/tfjs-backend.js';
import { engineOnFiles, OnnxGraph } from './convert-fixture.js';
import { folderOf } from './package-fixture.js';
import { noise } from './quantize-model-fixture.js';

/** A made-up detector of our own head: 32 × 32, stride 8. */
function smallDetector(): Map<string, Uint8Array> {
  const g = new OnnxGraph(32, 32);
  const y = g.one('Relu', [g.conv('image', 3, 8, 7, { strides: [8, 8], pads: [3, 3, 3, 3] })]);
  const rows = (from: string, channels: number) =>
    g.one('Transpose', [g.one('Reshape', [from, g.integers([1, channels, -1])])], { perm: [0, 2, 1] });
  const outputs = [rows(g.conv(y, 8, 1, 1), 1), rows(g.conv(y, 8, 4, 1), 4)];
  return tfjsModelFiles(convertOnnx(g.bytes(outputs)), 'float32');
}

interface Parts {
  model?: Uint8Array;
  shard?: Uint8Array;
  file?: string;
  dtype?: string;
  decoder?: string;
  labels?: string;
  input?: string;
  task?: string;
}

function manifest({ model, file, dtype, decoder, input, task }: Parts, outputs: string[]): string {
  return `name: small
version: 1.0.0
task: ${task ?? 'detect'}
labels: labels.txt
license: MIT
model: { file: ${file ?? MODEL_FILE}, engine: tfjs, precision: fp32, sha256: ${sha256Hex(model!)} }
input: { name: ${input ?? 'image'}, width: 32, height: 32, layout: NHWC, color: RGB, dtype: ${dtype ?? 'float32'}, resize: stretch }
decoder: ${decoder ?? `{ type: anchor-free, strides: [8], outputs: { logits: ${outputs[0]}, distances: ${outputs[1]} } }`}
thresholds: { default: 0.5 }
nms: { iou: 0.5, perClass: false, maxDetections: 10 }
golden:
  - { file: golden.jpg, detections: [], tolerance: { score: 0.1, iou: 0.5 } }
`;
}

/** A package in a temporary folder; parts given replace those of the small detector. */
async function packageOf(parts: Parts = {}): Promise<string> {
  const files = smallDetector();
  const model = parts.model ?? files.get(MODEL_FILE)!;
  const outputs = ['transpose_4', 'transpose_7'];
  return folderOf({
    'manifest.yaml': manifest({ ...parts, model }, outputs),
    [parts.file ?? MODEL_FILE]: Buffer.from(model),
    [SHARD_FILE]: Buffer.from(parts.shard ?? files.get(SHARD_FILE)!),
    'labels.txt': parts.labels ?? 'thing\n',
    'golden.jpg': 'not looked at',
  });
}

/** The small detector's model.json, changed. */
function changed(change: (model: { weightsManifest: { paths: string[]; weights: object[] }[] }) => void): Uint8Array {
  const model = JSON.parse(Buffer.from(smallDetector().get(MODEL_FILE)!).toString('utf8'));
  change(model);
  return Buffer.from(JSON.stringify(model));
}

const FRAME = { width: 32, height: 32, data: Uint8Array.from(noise(3072, 4), (value) => 128 + 127 * value) };

describe('a package with a graph model', () => {
  it('loads, says its engine, keeps no tensor over 200 frames and none after it was closed', async () => {
    await tfjsBackend();
    const before = tf.memory().numTensors;
    const folder = await packageOf();
    const model = await loadModel(folder, await openPackageDirectory(folder));
    expect(model.runtime).toMatch(/^tfjs-backend-wasm \d+\.\d+\.\d+( simd)?$/);
    const first = await model.detect(FRAME);
    const loaded = tf.memory().numTensors;
    expect(loaded).toBeGreaterThan(before);
    for (let run = 0; run < 200; run++) await model.detect(FRAME);
    expect(tf.memory().numTensors).toBe(loaded);
    expect((await model.detect(FRAME)).detections).toEqual(first.detections);
    await model.close();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('goes through the archive and the descriptor with all its files', async () => {
    const folder = await packageOf();
    const { bytes, digest } = await packDirectory(folder);
    const open = await readArchive(bytes);
    expect(open.digest).toBe(digest);
    const { files } = await describePackage(open, async (path) => open.contents.get(path)!);
    expect(files.map(({ path }) => path)).toContain(SHARD_FILE);
  });

  it('may have another name, a folder and several shards', async () => {
    const shard = smallDetector().get(SHARD_FILE)!;
    const model = changed(({ weightsManifest }) => {
      weightsManifest[0].paths = ['parts/a.bin', 'parts/b.bin'];
    });
    const folder = await packageOf({ model, file: 'net/centre.json' });
    await writeFile(join(await withFolder(folder, 'net/parts'), 'a.bin'), shard.slice(0, 1001));
    await writeFile(join(folder, 'net/parts/b.bin'), shard.slice(1001));
    const loaded = await loadModel(folder, await openPackageDirectory(folder));
    const plain = await packageOf();
    const reference = await loadModel(plain, await openPackageDirectory(plain));
    expect((await loaded.detect(FRAME)).detections).toEqual((await reference.detect(FRAME)).detections);
    await loaded.close();
    await reference.close();
  });

  it.each<[string, Parts, string]>([
    ['that is no JSON', { model: Buffer.from('PK') }, 'MODEL_LOAD_FAILED'],
    ['without topology', { model: Buffer.from('{"format":"graph-model"}') }, 'MODEL_LOAD_FAILED'],
    ['whose shard is cut off', { shard: smallDetector().get(SHARD_FILE)!.slice(8) }, 'MODEL_LOAD_FAILED'],
    [
      'whose shard is too long',
      { shard: Buffer.concat([smallDetector().get(SHARD_FILE)!, Buffer.from('x')]) },
      'MODEL_LOAD_FAILED',
    ],
    ['whose shard is missing', { model: changed((m) => m.weightsManifest[0].paths.push('more.bin')) }, 'FILE_MISSING'],
    ...['../secret.bin', '/etc/passwd', 'https://example.org/a.bin', 'file:a.bin', '', '.', 'a//b'].map(
      (path): [string, Parts, string] => [
        `whose shard is ${JSON.stringify(path)}`,
        { model: changed((m) => m.weightsManifest[0].paths.push(path)) },
        'PATH_UNSAFE',
      ],
    ),
    ...[
      { name: 'w', shape: [-1], dtype: 'float32' },
      { name: 'w', shape: [1e12, 1e12], dtype: 'float32' },
      { name: 'w', shape: 'x', dtype: 'float32' },
      { name: 'w', shape: [1], dtype: '__proto__' },
      { name: 'w', shape: [1], dtype: 'float32', quantization: { dtype: 'int3' } },
      null,
    ].map((weight): [string, Parts, string] => [
      `with the weight ${JSON.stringify(weight)}`,
      { model: changed((m) => m.weightsManifest[0].weights.push(weight as object)) },
      'MODEL_LOAD_FAILED',
    ]),
  ])('%s is refused when it is opened', async (_, parts, code) => {
    const folder = await packageOf(parts);
    await expect(openPackageDirectory(folder)).rejects.toMatchObject({ code });
  });

  it.each<[string, Parts, string]>([
    ['an unknown operator', { model: renamed('_FusedConv2D', 'Teleport') }, 'MODEL_OUTPUT_MISMATCH'],
    ['a graph that lacks a node', { model: renamed('"name":"node_conv_0"', '"name":"lost"') }, 'MODEL_LOAD_FAILED'],
    ['another input', { input: 'picture' }, 'MODEL_INPUT_MISMATCH'],
    ['bytes for a float input', { dtype: 'uint8' }, 'MODEL_INPUT_MISMATCH'],
    [
      'outputs that are not there',
      { decoder: '{ type: anchor-free, strides: [8], outputs: { logits: a, distances: b } }' },
      'MODEL_OUTPUT_MISMATCH',
    ],
    ['other labels', { labels: 'a\nb\n' }, 'MODEL_OUTPUT_MISMATCH'],
  ])('%s is refused when it is loaded', async (_, parts, code) => {
    const folder = await packageOf(parts);
    await expect(loadModel(folder, await openPackageDirectory(folder))).rejects.toMatchObject({ code });
  });

  it('whose weights change after they were checked is refused', async () => {
    const folder = await packageOf();
    const open = await openPackageDirectory(folder);
    const shard = smallDetector().get(SHARD_FILE)!.slice();
    shard[0] ^= 1;
    await writeFile(join(folder, SHARD_FILE), shard);
    await expect(loadModel(folder, open)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await rm(join(folder, SHARD_FILE));
    await expect(loadModel(folder, open)).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

async function withFolder(folder: string, path: string): Promise<string> {
  await mkdir(join(folder, path), { recursive: true });
  return join(folder, path);
}

function renamed(from: string, to: string): Uint8Array {
  return Buffer.from(Buffer.from(smallDetector().get(MODEL_FILE)!).toString('utf8').replaceAll(from, to));
}

/** A layers model as `model.save` of TensorFlow.js writes it. */
async function layersFiles(): Promise<{ model: Uint8Array; shard: Uint8Array }> {
  await tfjsBackend();
  const net = layers.sequential({
    layers: [
      layers.layers.globalAveragePooling2d({ inputShape: [32, 32, 3], dataFormat: 'channelsLast' }),
      layers.layers.dense({ units: 3, activation: 'softmax', name: 'probabilities', useBias: true }),
    ],
  });
  net.layers[1].setWeights([tf.tensor2d([0.1, 0, 0, 0, 0.1, 0, 0, 0, 0.1], [3, 3]), tf.tensor1d([0, 1, 2])]);
  let artifacts: tf.io.ModelArtifacts | undefined;
  await net.save({
    save: async (given) => {
      artifacts = given;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
  net.dispose();
  const { modelTopology, weightSpecs, weightData, format } = artifacts!;
  const manifest = [{ paths: [SHARD_FILE], weights: weightSpecs }];
  return {
    model: Buffer.from(JSON.stringify({ format, modelTopology, weightsManifest: manifest })),
    shard: new Uint8Array(weightData as ArrayBuffer),
  };
}

describe('a package with a layers model', () => {
  it('classifies', async () => {
    const { model, shard } = await layersFiles();
    const topology = JSON.parse(Buffer.from(model).toString('utf8')).modelTopology;
    const input = `${topology.config.layers[0].config.name}_input`;
    const parts: Parts = {
      model,
      shard,
      input,
      labels: 'red\ngreen\nblue\n',
      task: 'classify',
      decoder: '{ type: classify, outputs: { logits: probabilities }, activation: none }',
    };
    const folder = await packageOf(parts);
    const loaded = await loadModel(folder, await openPackageDirectory(folder));
    // Planes G, B, R: all red. Softmax of (25.5, 1, 2).
    const data = new Uint8Array(3072).fill(255, 2048);
    const before = tf.memory().numTensors;
    const { detections } = await loaded.detect({ width: 32, height: 32, data });
    expect(tf.memory().numTensors).toBe(before);
    expect(detections[0]).toMatchObject({ label: 'red' });
    expect(detections[0].score).toBeCloseTo(1, 4);
    await loaded.close();
  });
});

/** A graph by hand: y = x · 2 in integers, or by way of control flow. */
function graphFiles(nodes: object[], dtype: string): Map<string, Uint8Array> {
  const dim = [1, 2, 2, 3].map((size) => ({ size: String(size) }));
  const model = {
    format: 'graph-model',
    modelTopology: {
      node: [
        { name: 'x', op: 'Placeholder', attr: { dtype: { type: dtype }, shape: { shape: { dim } } } },
        { name: 'two', op: 'Const', attr: { dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: {} } } } },
        ...nodes,
      ],
      library: {},
      versions: { producer: 1 },
    },
    weightsManifest: [
      { paths: ['w.bin'], weights: [{ name: 'two', shape: [], dtype: dtype === 'DT_INT32' ? 'int32' : 'float32' }] },
    ],
  };
  const two = dtype === 'DT_INT32' ? Int32Array.of(2) : Float32Array.of(2);
  return new Map([
    [MODEL_FILE, Buffer.from(JSON.stringify(model))],
    ['w.bin', new Uint8Array(two.buffer)],
  ]);
}

const outputY = [{ name: 'y', dims: undefined }];

describe('the engine', () => {
  it('feeds bytes to a model that takes integers', async () => {
    const engine = await engineOnFiles(
      graphFiles([{ name: 'y', op: 'Mul', input: ['x', 'two'], attr: {} }], 'DT_INT32'),
    );
    expect(engine.inputs[0]).toMatchObject({ feeds: ['uint8'], dims: [1, 2, 2, 3] });
    const data = Uint8Array.from({ length: 12 }, (_, index) => 20 * index);
    const run = engine.bind({ name: 'x:0', data, dims: [1, 2, 2, 3] }, outputY);
    expect([...(await run()).y.data]).toEqual([...data].map((value) => 2 * value));
    data.fill(7);
    expect((await run()).y).toMatchObject({ data: new Float32Array(12).fill(14), dims: [1, 2, 2, 3] });
    await engine.close();
  });

  it('runs a model with control flow, and keeps nothing of it', async () => {
    const nodes = [
      { name: 'limit', op: 'Greater', input: ['x', 'two'], attr: {} },
      { name: 'y', op: 'Where', input: ['limit'], attr: {} },
    ];
    const files = graphFiles(nodes, 'DT_FLOAT');
    const engine = await engineOnFiles(files);
    const data = Float32Array.from({ length: 12 }, (_, index) => (index === 5 ? 9 : 0));
    const run = engine.bind({ name: 'x', data, dims: [1, 2, 2, 3] }, outputY);
    const first = await run();
    expect([...first.y.data]).toEqual([0, 0, 1, 2]);
    const before = tf.memory().numTensors;
    for (let index = 0; index < 20; index++) await run();
    expect(tf.memory().numTensors).toBe(before);
    await engine.close();
  });

  it('gives a model with a second input its constants', async () => {
    const dim = [{ size: '1' }, { size: '-1' }];
    const size = { name: 'size', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim } } } };
    const files = graphFiles([size, { name: 'y', op: 'Mul', input: ['x', 'size'], attr: {} }], 'DT_FLOAT');
    const engine = await engineOnFiles(files);
    expect(engine.inputs.map(({ constant }) => constant)).toEqual([true, true]);
    const input = { name: 'x', data: new Float32Array(12).fill(2), dims: [1, 2, 2, 3] };
    const { y } = await engine.bind(input, outputY, { size: [1, 2, 3] })();
    expect([...y.data.slice(0, 3)]).toEqual([2, 4, 6]);
    await engine.close();
  });

  it('knows inputs and outputs by the keys of the signature', async () => {
    const files = graphFiles([{ name: 'y', op: 'Mul', input: ['x', 'two'], attr: {} }], 'DT_FLOAT');
    const model = JSON.parse(Buffer.from(files.get(MODEL_FILE)!).toString('utf8'));
    model.signature = {
      inputs: { picture: { name: 'x:0', dtype: 'DT_FLOAT' } },
      outputs: { 'detections:0': { name: 'y:0', dtype: 'DT_FLOAT' } },
    };
    files.set(MODEL_FILE, Buffer.from(JSON.stringify(model)));
    const engine = await engineOnFiles(files);
    expect(engine.inputs[0].names).toContain('picture');
    expect(engine.outputs[0].names).toEqual(['y', 'y:0', 'detections:0']);
    const data = new Float32Array(12).fill(3);
    const run = engine.bind({ name: 'picture', data, dims: [1, 2, 2, 3] }, [{ name: 'detections:0', dims: undefined }]);
    expect((await run())['detections:0'].data[11]).toBe(6);
    await engine.close();
  });
});

describe('the backend', () => {
  it.each([
    [
      'is not installed',
      () => Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })),
    ],
    ['has no library', () => Promise.reject(new Error('libtensorflow.so.2: cannot open shared object file'))],
    ['registers nothing', () => Promise.resolve({})],
  ])('is WebAssembly when tfjs-node %s', async (_, importNative) => {
    expect((await chooseTfjsBackend({ importNative })).runtime).toMatch(/^tfjs-backend-wasm/);
  });

  it('writes nothing and leaves the error handling of the process alone', async () => {
    const script = `const { tfjsBackend } = await import('./dist/runtime/tfjs-backend.js');
      const { runtime } = await tfjsBackend();
      if (process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') > 0) throw new Error('listeners');
      if (!runtime) throw new Error('no runtime');`;
    const cwd = join(import.meta.dirname, '..');
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd });
    expect(await run).toEqual({ stdout: '', stderr: '' });
  });

  it('of an ONNX package is never loaded', async () => {
    const script = `const { loadModel } = await import('./dist/runtime/load-model.js');
      const { openPackageDirectory } = await import('./dist/package/package.js');
      const folder = './zoo/person-detector-fp32';
      await (await loadModel(folder, await openPackageDirectory(folder))).close();
      if (globalThis._tfengine) throw new Error('TensorFlow.js is loaded');`;
    const cwd = join(import.meta.dirname, '..');
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd });
  });

  // The last one: TensorFlow.js disposes of a backend that is taken away, and this one lends its own.
  it('is tfjs-node when it can be imported and calculates', async () => {
    await tfjsBackend();
    const backend = tf.backend();
    tf.registerBackend('tensorflow', () => backend, 1);
    for (const { kernelName, kernelFunc } of tf.getKernelsForBackend('wasm')) {
      if (['Add', 'Identity'].includes(kernelName))
        tf.registerKernel({ kernelName, backendName: 'tensorflow', kernelFunc });
    }
    const native = { version: { 'tfjs-node': '4.22.0' } };
    const asked: string[] = [];
    const importNative = async () => {
      asked.push(process.env.TF_NUM_INTRAOP_THREADS ?? '');
      return native;
    };
    expect(await chooseTfjsBackend({ threads: 2, importNative })).toEqual({ runtime: 'tfjs-node 4.22.0' });
    expect(asked).toHaveLength(1);
  });
});
