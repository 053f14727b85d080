import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { guessDecoders } from '../src/inspect/guess.js';
import { manifestSkeleton, packageName } from '../src/inspect/manifest-skeleton.js';
import { onnxFacts } from '../src/inspect/onnx-facts.js';
import { readModel } from '../src/inspect/read-model.js';
import { tfjsFacts } from '../src/inspect/tfjs-facts.js';
import { parseManifest } from '../src/package/manifest-file.js';
import { DataType, decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { floatTensor } from '../src/quantize/tensor-data.js';
import { available, folderOf, temporaryFolder } from './package-fixture.js';
import { node, noise, picture } from './quantize-model-fixture.js';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const zoo = fileURLToPath(new URL('../zoo', import.meta.url));
const material = fileURLToPath(new URL('../../../shared/material/models', import.meta.url));
const run = promisify(execFile);

/** A classifier of 3 classes: 3 → 4 channels, 3 × 3, stride 2, at 8 × 8; then the mean and a 1 × 1 convolution. */
function classifier(outputName = 'logits'): Uint8Array {
  const size = 8;
  return encodeModel({
    irVersion: 7,
    opsetImport: [{ version: 13 }],
    producerName: 'test',
    graph: {
      name: 'tiny',
      node: [
        node('Conv', ['image', 'w1'], 'features', { strides: [2, 2], pads: [1, 1, 1, 1] }),
        node('GlobalAveragePool', ['features'], 'mean'),
        node('Conv', ['mean', 'w2'], outputName),
      ],
      initializer: [floatTensor('w1', [4, 3, 3, 3], noise(108, 1)), floatTensor('w2', [3, 4, 1, 1], noise(12, 2))],
      input: [picture('image', 3, size)],
      output: [{ name: outputName, type: { tensorType: { elemType: DataType.float } } }],
      valueInfo: [],
    },
    metadataProps: [{ key: 'names', value: "{0: 'cat', 1: 'dog', 2: 'owl'}" }],
  });
}

describe('onnxFacts', () => {
  it('counts parameters and multiply-accumulates, and finds shapes that the file leaves open', () => {
    const facts = onnxFacts(classifier(), 'tiny.onnx');
    expect(facts).toMatchObject({
      inputs: [{ name: 'image', dtype: 'float32', dims: [1, 3, 8, 8] }],
      outputs: [{ name: 'logits', dtype: 'float32', dims: [1, 3, 1, 1], madeBy: 'Conv' }],
      opset: 13,
      operators: { Conv: 2, GlobalAveragePool: 1 },
      parameters: 120,
      // 4 × 4 cells of 4 channels, 27 each; then 3 × 4.
      macs: 4 * 4 * 4 * 27 + 12,
      precision: 'fp32',
      quantized: null,
      labels: ['cat', 'dog', 'owl'],
    });
    expect(guessDecoders(facts)[0]).toMatchObject({ family: 'classify', labels: 3 });
  });

  it('finds what does not depend on the size of a model that takes any', () => {
    const model = decodeModel(classifier());
    const { graph } = model;
    graph.input[0].type!.tensorType!.shape!.dim = [
      { dimParam: 'batch' },
      { dimValue: 3 },
      { dimParam: 'height' },
      { dimParam: 'width' },
    ];
    graph.node = [
      graph.node[0],
      node('Shape', ['features'], 'sizes'),
      node('ConstantOfShape', ['sizes'], 'zeros'),
      node('Add', ['features', 'zeros'], 'logits'),
    ];
    expect(onnxFacts(encodeModel(model), 'any.onnx')).toMatchObject({
      inputs: [{ dims: ['batch', 3, 'height', 'width'] }],
      outputs: [{ dims: [1, 4, null, null] }],
    });
  });

  it('refuses what is no model with a code', () => {
    const bytes = classifier();
    for (const broken of [
      new Uint8Array(0),
      new Uint8Array(64).fill(0xff),
      bytes.subarray(0, 40),
      Buffer.from('PK no'),
    ])
      expect(() => onnxFacts(broken, 'x.onnx')).toThrow(expect.objectContaining({ code: 'NOT_A_MODEL' }));
    expect(() => tfjsFacts(Buffer.from('{"format": 1}'), 'model.json')).toThrow(
      expect.objectContaining({ code: 'NOT_A_MODEL' }),
    );
  });

  it('answers any mutation with facts or a code', () => {
    const original = classifier();
    let state = 7;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let round = 0; round < 600; round++) {
      const bytes = Uint8Array.from(original);
      for (let flips = 1 + next(4); flips > 0; flips--) bytes[next(bytes.length)] = next(256);
      try {
        const facts = onnxFacts(bytes, 'x.onnx');
        manifestSkeleton({ facts, guess: guessDecoders(facts)[0], file: 'x.onnx', sha256: 'a'.repeat(64) });
      } catch (error) {
        expect(error).toMatchObject({ code: 'NOT_A_MODEL' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(20);
  });
});

describe('manifestSkeleton', () => {
  const filled = (text: string): string =>
    `${text.replace('# license:', 'license:')}golden:\n  - { file: a.jpg, detections: [], tolerance: { score: 0.1, iou: 0.5 } }\n`;

  it('lacks nothing but licence and golden frames', () => {
    const facts = onnxFacts(classifier(), 'tiny.onnx');
    // A board's frame has 16 pixels at the least.
    facts.inputs[0].dims = [1, 3, 96, 96];
    const text = manifestSkeleton({
      facts,
      guess: guessDecoders(facts)[0],
      file: 'Tiny v1.onnx',
      sha256: 'a'.repeat(64),
    });
    expect(() => parseManifest(text)).toThrow(/license: missing/);
    expect(() => parseManifest(text.replace('# license:', 'license:'))).toThrow(/golden: missing/);
    expect(parseManifest(filled(text))).toMatchObject({
      name: 'tiny-v1',
      task: 'classify',
      decoder: { type: 'classify' },
    });
    expect(text).toContain('labels.txt, one label a line, 3 of them; the model says "cat", "dog", "owl"');
  });

  it('keeps names that would end a comment or a key inside their quotes', () => {
    const evil = 'logits\nlicense: Apache-2.0\n# : "\u001b[2J';
    const facts = onnxFacts(classifier(evil), 'tiny.onnx');
    facts.inputs[0].dims = [1, 3, 96, 96];
    const text = manifestSkeleton({ facts, guess: guessDecoders(facts)[0], file: 'x.onnx', sha256: 'a'.repeat(64) });
    expect(() => parseManifest(text)).toThrow(/license: missing/);
    expect(text).not.toContain('\u001b');
  });

  it('makes a package name out of any file name', () => {
    expect(packageName('YOLOv8n (1).onnx')).toBe('yolov8n-1');
    expect(packageName('ß.onnx')).toBe('model');
  });
});

describe('readModel', () => {
  it('reads packages, folders and files, and says what it cannot read', async () => {
    const inPackage = await readModel(join(zoo, 'person-detector-int8'));
    expect(inPackage).toMatchObject({ file: 'model.onnx', package: { manifest: { name: 'person-detector' } } });
    expect(inPackage.facts).toMatchObject({ precision: 'int8', quantized: 'static' });
    const folder = await folderOf({ 'model.onnx': Buffer.from(classifier()) });
    expect((await readModel(folder)).facts.opset).toBe(13);
    await expect(readModel(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await expect(readModel(await temporaryFolder())).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    // A sparse file: no byte of it is written or read.
    const huge = join(folder, 'huge.onnx');
    await writeFile(huge, '');
    await truncate(huge, 600 * 1024 * 1024);
    await expect(readModel(huge)).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
  });
});

describe.skipIf(!available(cli))('vigie-models inspect', () => {
  it('prints JSON, writes a manifest, and says what is wrong in a line', async () => {
    const folder = await folderOf({ 'tiny.onnx': Buffer.from(classifier()) });
    const model = join(folder, 'tiny.onnx');
    const document = JSON.parse((await run(process.execPath, [cli, 'inspect', model, '--json'])).stdout);
    expect(document).toMatchObject({ file: 'tiny.onnx', engine: 'onnx', guesses: [{ family: 'classify' }] });
    await mkdir(join(folder, 'package'));
    const out = join(folder, 'package/manifest.yaml');
    await run(process.execPath, [cli, 'inspect', model, '--out', out]);
    expect(await readFile(out, 'utf8')).toContain(`sha256: ${document.sha256}`);
    const missing = await run(process.execPath, [cli, 'inspect', join(folder, 'no.onnx')]).catch((error) => error);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('FILE_UNREADABLE') });
  });
});

/** What is in the folder beside the repository: name, family, labels, parameters in millions, MACs in millions. */
const REAL: [file: string, family: string, labels: number | null, millions: number, macs: number | null][] = [
  ['yolox_nano_416_coco.onnx', 'yolox', 80, 0.9, 523],
  ['nanodet_m_320_coco.onnx', 'nanodet', 80, 0.94, 342],
  ['ultraface_slim_320.onnx', 'ultraface', 1, 0.29, 81],
  ['mobilenet_v2_imagenet_int8_qdq.onnx', 'classify', 1000, 3.49, 301],
  ['tfjs_centernet_coco', 'end2end', null, 2.01, null],
];

describe.skipIf(!available(material))('third-party models', () => {
  for (const [file, family, labels, millions, macs] of REAL) {
    it.skipIf(!existsSync(join(material, file)))(`takes ${file} for ${family}`, async () => {
      const { facts } = await readModel(join(material, file));
      const [guess] = guessDecoders(facts);
      expect(guess).toMatchObject({ family, labels });
      expect(guess.confidence).toBeGreaterThan(0.85);
      expect(facts.parameters / 1e6).toBeCloseTo(millions, 1);
      expect(facts.macs === null ? null : Math.round(facts.macs / 1e6)).toBe(macs);
      expect(facts.precision).toBe(family === 'classify' ? 'int8' : family === 'end2end' ? 'fp16' : 'fp32');
    });
  }
});
