import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { decodeModel, type ModelProto, type NodeProto } from '../src/quantize/onnx-proto.js';
import { type QuantizeOptions, quantizeOnnx } from '../src/quantize/quantize-onnx.js';
import { dimensionsOf, floatTensor, floatValues } from '../src/quantize/tensor-data.js';
import { node, noise, picture, smallModel } from './quantize-model-fixture.js';

const SIZE = 8;
const SAME = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
const RAW: QuantizeOptions = { target: 'portable', scaling: { mean: [0, 0, 0], std: [1, 1, 1] } };

function bytesOf(seed: number): Uint8Array {
  return Uint8Array.from(noise(3 * SIZE * SIZE, seed), (v) => Math.round((v + 1) * 127.5));
}

async function* tensorsOf(pictures: Uint8Array[], scale = (v: number) => v): AsyncGenerator<Float32Array> {
  for (const bytes of pictures) yield Float32Array.from(bytes, scale);
}

async function run(model: Uint8Array, data: Uint8Array | Float32Array): Promise<Record<string, Float32Array>> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
  const type = data instanceof Uint8Array ? 'uint8' : 'float32';
  const results = await session.run({ image: new Tensor(type, data, [1, 3, SIZE, SIZE]) });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t.data as Float32Array]));
}

/** A residual network with everything the quantizer knows: Conv + Relu, Add, MaxPool, Concat, Resize, a 1×1 read-out. */
function network(): Uint8Array {
  const conv = (
    name: string,
    input: string,
    out: number,
    inChannels: number,
    kernel = 3,
  ): [NodeProto, ...ReturnType<typeof floatTensor>[]] => [
    node('Conv', [input, `${name}.w`, `${name}.b`], name, kernel === 3 ? SAME : { kernel_shape: [1, 1] }),
    floatTensor(
      `${name}.w`,
      [out, inChannels, kernel, kernel],
      noise(out * inChannels * kernel * kernel, out + kernel).map((v) => v / (inChannels * kernel)),
    ),
    floatTensor(`${name}.b`, [out], noise(out, 7)),
  ];
  const [stem, ...stemWeights] = conv('stem', 'image', 4, 3);
  const [branch, ...branchWeights] = conv('branch', 'stem_relu', 4, 4);
  const [mixed, ...mixedWeights] = conv('mixed', 'cat', 6, 8);
  const [read, ...readWeights] = conv('read', 'up', 2, 6, 1);
  const concat: NodeProto = {
    ...node('Concat', ['sum_relu', 'pool'], 'cat'),
    attribute: [{ name: 'axis', type: 2, i: 1 }],
  };
  const resize = node('Resize', ['mixed', '', 'scales'], 'up');
  resize.attribute = [
    { name: 'mode', type: 3, s: Buffer.from('nearest') },
    { name: 'coordinate_transformation_mode', type: 3, s: Buffer.from('asymmetric') },
    { name: 'nearest_mode', type: 3, s: Buffer.from('floor') },
  ];
  const nodes = [
    stem,
    node('Relu', ['stem'], 'stem_relu'),
    branch,
    node('Add', ['stem_relu', 'branch'], 'sum'),
    node('Relu', ['sum'], 'sum_relu'),
    node('MaxPool', ['sum_relu'], 'pool', SAME),
    concat,
    mixed,
    resize,
    read,
  ];
  const scales = floatTensor('scales', [4], [1, 1, 2, 2]);
  return smallModel(
    SIZE,
    nodes,
    [...stemWeights, ...branchWeights, ...mixedWeights, ...readWeights, scales],
    ['read', 'mixed'],
  );
}

function constant(model: ModelProto, name: string) {
  const found = model.graph.initializer.find((t) => t.name === name);
  if (!found) throw new Error(`no initializer ${name}`);
  return found;
}

const signed = (bytes: Uint8Array | undefined) => new Int8Array(Uint8Array.from(bytes ?? []).buffer);
const words = (bytes: Uint8Array | undefined) => new Int32Array(Uint8Array.from(bytes ?? []).buffer);

/** Integer convolution 3×3, pad 1, stride 1, after the ONNX text of QLinearConv (input zero point 0). */
function referenceConvolution(model: ModelProto, name: string, output: string, input: Uint8Array): Float32Array {
  const weightTensor = constant(model, `${name}_weights_quantized`);
  const [channels, inputs] = dimensionsOf(weightTensor);
  const weights = signed(weightTensor.rawData);
  const bias = words(constant(model, `${name}_bias_quantized`).rawData);
  const units = floatValues(constant(model, `${name}_bias_scale`));
  const [scale] = floatValues(constant(model, `${output}_scale`));
  const [zeroPoint] = constant(model, `${output}_zero_point`).rawData ?? [];
  const result = new Float32Array(channels * SIZE * SIZE);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++) {
        let sum = bias[c];
        for (let i = 0; i < inputs; i++)
          for (let ky = 0; ky < 3; ky++)
            for (let kx = 0; kx < 3; kx++) {
              const [iy, ix] = [y + ky - 1, x + kx - 1];
              if (iy < 0 || ix < 0 || iy >= SIZE || ix >= SIZE) continue;
              sum += input[(i * SIZE + iy) * SIZE + ix] * weights[((c * inputs + i) * 3 + ky) * 3 + kx];
            }
        const level = Math.min(255, Math.max(0, Math.round((sum * units[c]) / scale) + zeroPoint));
        result[(c * SIZE + y) * SIZE + x] = (level - zeroPoint) * scale;
      }
  return result;
}

/** Conv + Relu alone, its result quantized and read by a second one. */
function twoConvolutions(weight: (i: number) => number): Uint8Array {
  return smallModel(
    SIZE,
    [
      node('Conv', ['image', 'a.w', 'a.b'], 'a', SAME),
      node('Relu', ['a'], 'a_relu'),
      node('Conv', ['a_relu', 'b.w'], 'b', SAME),
    ],
    [
      floatTensor(
        'a.w',
        [4, 3, 3, 3],
        Float32Array.from({ length: 108 }, (_, i) => weight(i)),
      ),
      floatTensor('a.b', [4], [1, -2, 300, 0]),
      floatTensor('b.w', [1, 4, 3, 3], noise(36, 5)),
    ],
    ['a_relu', 'b'],
  );
}

describe('a quantized convolution', () => {
  it('computes what integer arithmetic by hand does, to one level', async () => {
    const random = noise(108, 3);
    const fp32 = twoConvolutions((i) => random[i]);
    const calibration = [1, 2, 3].map(bytesOf);
    const { bytes } = await quantizeOnnx(fp32, tensorsOf(calibration), RAW);
    const model = decodeModel(bytes);
    const [scale] = floatValues(constant(model, 'a_relu_scale'));
    const wanted = referenceConvolution(model, 'a', 'a_relu', calibration[1]);
    const { a_relu: got } = await run(bytes, calibration[1]);
    expect(new Set(wanted).size).toBeGreaterThan(50);
    for (let i = 0; i < wanted.length; i++) expect(Math.abs(got[i] - wanted[i])).toBeLessThanOrEqual(scale * 1.001);
    const { a_relu: float } = await run(fp32, Float32Array.from(calibration[1]));
    for (let i = 0; i < wanted.length; i++) expect(Math.abs(got[i] - float[i])).toBeLessThan(12 * scale);
  });

  it('is right at the largest sums too, where 8-bit weights would saturate on AVX2', async () => {
    const white = new Uint8Array(3 * SIZE * SIZE).fill(255);
    const { bytes } = await quantizeOnnx(
      twoConvolutions(() => 1),
      tensorsOf([white]),
      RAW,
    );
    const model = decodeModel(bytes);
    expect(Math.max(...signed(constant(model, 'a_weights_quantized').rawData))).toBe(64);
    const wanted = referenceConvolution(model, 'a', 'a_relu', white);
    const { a_relu: got } = await run(bytes, white);
    const [scale] = floatValues(constant(model, 'a_relu_scale'));
    for (let i = 0; i < wanted.length; i++) expect(Math.abs(got[i] - wanted[i])).toBeLessThanOrEqual(scale * 1.001);
  });

  it('takes bytes with a mean and a divisor as its zero point and scale, padding included', async () => {
    const random = noise(108, 9);
    const fp32 = twoConvolutions((i) => random[i] * 20);
    const pictures = [4, 5].map(bytesOf);
    const scaling = { mean: [127, 127, 127], std: [128, 128, 128] };
    const toFloat = (v: number) => (v - 127) / 128;
    const { bytes, report } = await quantizeOnnx(fp32, tensorsOf(pictures, toFloat), { ...RAW, scaling });
    expect(report.inputType).toBe('uint8');
    const got = (await run(bytes, pictures[0])).a_relu;
    const wanted = (await run(fp32, Float32Array.from(pictures[0], toFloat))).a_relu;
    const [scale] = floatValues(constant(decodeModel(bytes), 'a_relu_scale'));
    for (let i = 0; i < wanted.length; i++) expect(Math.abs(got[i] - wanted[i])).toBeLessThan(2 * scale);
  });

  it('keeps a float input when the channels are scaled differently', async () => {
    const scaling = { mean: [123.7, 116.3, 103.5], std: [58, 57, 57] };
    const { bytes, report } = await quantizeOnnx(
      network(),
      tensorsOf([bytesOf(1)], (v) => v / 58),
      { ...RAW, scaling },
    );
    expect(report.inputType).toBe('float32');
    expect(
      (
        await run(
          bytes,
          Float32Array.from(bytesOf(1), (v) => v / 58),
        )
      ).read.every(Number.isFinite),
    ).toBe(true);
  });
});

describe('a quantized network', () => {
  it('agrees with the FP32 one, and every convolution but the read-out computes in INT8', async () => {
    const fp32 = network();
    const pictures = [1, 2, 3, 4].map(bytesOf);
    const { bytes, report } = await quantizeOnnx(fp32, tensorsOf(pictures), RAW);
    expect(report).toMatchObject({
      convolutions: 3,
      floatConvolutions: ['node_read'],
      pictures: 4,
      inputType: 'uint8',
    });
    const float = await run(fp32, Float32Array.from(pictures[2]));
    const int8 = await run(bytes, pictures[2]);
    for (const output of ['read', 'mixed']) {
      const spread = Math.max(...float[output]) - Math.min(...float[output]);
      for (let i = 0; i < float[output].length; i++) {
        expect(Math.abs(int8[output][i] - float[output][i])).toBeLessThan(0.06 * spread);
      }
    }
  });

  it('shares one scale where bytes are only moved', async () => {
    const { bytes } = await quantizeOnnx(network(), tensorsOf([bytesOf(1)]), RAW);
    const model = decodeModel(bytes);
    const scales = ['sum_relu', 'pool', 'cat'].map((name) => floatValues(constant(model, `${name}_scale`))[0]);
    expect(new Set(scales).size).toBe(1);
    expect(floatValues(constant(model, 'up_scale'))).toEqual(floatValues(constant(model, 'mixed_scale')));
  });

  it('is the same bytes every time, and other bytes for another target', async () => {
    const make = async (target: 'portable' | 'x64') =>
      (await quantizeOnnx(network(), tensorsOf([bytesOf(1), bytesOf(2)]), { ...RAW, target })).bytes;
    const first = await make('portable');
    expect(Buffer.compare(first, await make('portable'))).toBe(0);
    const wide = await make('x64');
    const largest = (bytes: Uint8Array) =>
      Math.max(...signed(constant(decodeModel(bytes), 'mixed_weights_quantized').rawData).map(Math.abs));
    expect([largest(first), largest(wide)]).toEqual([64, 127]);
  });
});

describe('what cannot be quantized is refused by name', () => {
  const weights = floatTensor('w', [1, 3, 3, 3], noise(27, 1));
  const conv = node('Conv', ['image', 'w'], 'out', SAME);
  const cases: [string, Uint8Array, string][] = [
    ['bytes that are no ONNX file', Buffer.from('this is not a model'), 'NOT_ONNX'],
    ['an empty file', new Uint8Array(0), 'NOT_ONNX'],
    [
      'an old opset',
      smallModel(SIZE, [conv], [weights], ['out'], { opsetImport: [{ version: 6 }] }),
      'OPSET_UNSUPPORTED',
    ],
    [
      'a graph without convolutions',
      smallModel(SIZE, [node('Relu', ['image'], 'out')], [], ['out']),
      'NOTHING_TO_QUANTIZE',
    ],
    [
      'a graph with two inputs',
      withInputs([picture('image', 3, SIZE), picture('other', 3, SIZE)]),
      'INPUT_UNSUPPORTED',
    ],
    ['an input that is no picture', withInputs([picture('image', 1, SIZE)]), 'INPUT_UNSUPPORTED'],
    ['a model that is quantized already', withInputs([picture('image', 3, SIZE, 2)]), 'INPUT_UNSUPPORTED'],
    [
      'weights shorter than their shape',
      smallModel(SIZE, [conv], [{ ...weights, dims: [2, 3, 3, 3] }], ['out']),
      'CALIBRATION_FAILED',
    ],
  ];

  function withInputs(input: ReturnType<typeof picture>[]): Uint8Array {
    const graph = { name: 'g', node: [conv], initializer: [weights], input, output: [{ name: 'out' }], valueInfo: [] };
    return smallModel(SIZE, [], [], [], { graph });
  }

  it.each(cases)('%s', async (_, bytes, code) => {
    await expect(quantizeOnnx(bytes, tensorsOf([bytesOf(1)]), RAW)).rejects.toMatchObject({
      name: 'QuantizeError',
      code,
    });
  });

  it('a calibration without pictures, and one with a value that is not finite', async () => {
    await expect(quantizeOnnx(network(), tensorsOf([]), RAW)).rejects.toMatchObject({ code: 'CALIBRATION_EMPTY' });
    const broken = tensorsOf([bytesOf(1)], () => Number.NaN);
    await expect(quantizeOnnx(network(), broken, RAW)).rejects.toMatchObject({ code: 'CALIBRATION_FAILED' });
  });
});
