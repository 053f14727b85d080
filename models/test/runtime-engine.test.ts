import { describe, expect, it } from 'vitest';
import type { Manifest } from '../src/package/manifest.js';
import {
  AttributeType,
  DataType,
  encodeModel,
  type NodeProto,
  type ValueInfoProto,
} from '../src/quantize/onnx-proto.js';
import { makeDetector } from '../src/runtime/detector.js';
import type { Engine } from '../src/runtime/engine.js';
import { openOnnxEngine } from '../src/runtime/onnx-session-engine.js';
import { node } from './quantize-model-fixture.js';

const SIZE = 16;

function value(name: string, elemType: number, dims?: (number | string)[]): ValueInfoProto {
  const shape = dims && { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) };
  return { name, type: { tensorType: { elemType, shape } } };
}

/** A model of `image` `[1, 3, 16, 16]` with these nodes and outputs. */
function model(
  nodes: NodeProto[],
  outputs: ValueInfoProto[],
  elemType: number = DataType.float,
  inputs: ValueInfoProto[] = [],
): Uint8Array {
  return encodeModel({
    irVersion: 7,
    opsetImport: [{ version: 13 }],
    graph: {
      name: 'small',
      node: nodes,
      initializer: [],
      input: [value('image', elemType, [1, 3, SIZE, SIZE]), ...inputs],
      output: outputs,
      valueInfo: [],
    },
    metadataProps: [],
  });
}

function cast(input: string, output: string, to: number): NodeProto {
  return { ...node('Cast', [input], output), attribute: [{ name: 'to', type: AttributeType.int, i: to }] };
}

const image = { name: 'image', data: new Float32Array(3 * SIZE * SIZE), dims: [1, 3, SIZE, SIZE] };
const DIMS = [1, 3, SIZE, SIZE];

async function withEngine<T>(bytes: Uint8Array, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openOnnxEngine(bytes, 'model.onnx');
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

describe('openOnnxEngine', () => {
  it.each([
    ['float16', DataType.float16],
    ['float64', DataType.double],
    ['int64', DataType.int64],
    ['int32', DataType.int32],
    ['int8', DataType.int8],
    ['uint8', DataType.uint8],
    ['bool', DataType.bool],
  ])('gives %s outputs as numbers', async (dtype, type) => {
    image.data.fill(0).set([1, 100, 7], 0);
    await withEngine(model([cast('image', 'out', type)], [value('out', type, DIMS)]), async (engine) => {
      expect(engine.outputs).toEqual([{ names: ['out'], dtype, dims: DIMS, readable: true }]);
      const run = engine.bind(image, [{ name: 'out', dims: DIMS }]);
      const { out } = await run();
      expect(out.data).toBeInstanceOf(Float32Array);
      expect([...out.data.subarray(0, 4)]).toEqual(dtype === 'bool' ? [1, 1, 1, 0] : [1, 100, 7, 0]);
      expect(out.dims).toEqual(DIMS);
      image.data.fill(1);
      expect([...(await run()).out.data.subarray(0, 2)]).toEqual([1, 1]);
    });
  });

  it('feeds a float16 input', async () => {
    const bytes = model([cast('image', 'out', DataType.float)], [value('out', DataType.float, DIMS)], DataType.float16);
    await withEngine(bytes, async (engine) => {
      expect(engine.inputs[0]).toMatchObject({ dtype: 'float16', feeds: ['float32'] });
      const run = engine.bind(image, [{ name: 'out', dims: DIMS }]);
      for (const first of [0.5, -65504, 1 / 1024]) {
        image.data.fill(first);
        expect((await run()).out.data[5]).toBe(first);
      }
    });
  });

  it('writes outputs of known size into the same memory, and fetches only what is asked for', async () => {
    const bytes = model(
      [node('Neg', ['image'], 'minus'), node('Abs', ['image'], 'plus')],
      [value('minus', DataType.float, DIMS), value('plus', DataType.float, DIMS)],
    );
    await withEngine(bytes, async (engine) => {
      const run = engine.bind(image, [{ name: 'minus', dims: DIMS }]);
      image.data.fill(2);
      const first = await run();
      expect(Object.keys(first)).toEqual(['minus']);
      expect(first.minus.data[0]).toBe(-2);
      image.data.fill(3);
      expect((await run()).minus.data).toBe(first.minus.data);
      expect(first.minus.data[0]).toBe(-3);
    });
  });

  it('takes sizes that only a run shows, and that change', async () => {
    const bytes = model([node('NonZero', ['image'], 'out')], [value('out', DataType.int64, [4, 'found'])]);
    await withEngine(bytes, async (engine) => {
      expect(engine.outputs[0].dims).toEqual([4, null]);
      const run = engine.bind(image, [{ name: 'out', dims: undefined }]);
      for (const count of [3, 0, 40]) {
        image.data.fill(0).fill(1, 0, count);
        const { out } = await run();
        expect(out.dims).toEqual([4, count]);
        expect(out.data).toHaveLength(4 * count);
      }
    });
  });
});

describe('constants', () => {
  it.each([
    ['float32', DataType.float],
    ['int64', DataType.int64],
    ['int32', DataType.int32],
  ])('feeds other inputs of type %s', async (_name, type) => {
    const bytes = model(
      [cast('size', 'size_as_float', DataType.float), node('Neg', ['size_as_float'], 'out')],
      [value('out', DataType.float, ['batch', 2])],
      DataType.float,
      [value('size', type, ['batch', 2])],
    );
    await withEngine(bytes, async (engine) => {
      expect(engine.inputs[1]).toMatchObject({ names: ['size'], dims: [null, 2], constant: true });
      const run = engine.bind(image, [{ name: 'out', dims: undefined }], { size: [640, 320] });
      expect((await run()).out).toEqual({ data: Float32Array.of(-640, -320), dims: [1, 2] });
    });
  });
});

describe('makeDetector', () => {
  const manifest = {
    model: { file: 'model.onnx' },
    input: { name: 'image', width: 4, height: 4, layout: 'NCHW', color: 'RGB', dtype: 'float32', resize: 'stretch' },
    decoder: { type: 'end2end', outputs: { detections: 'out' } },
    thresholds: { default: 0.5 },
    nms: { iou: 0.5, perClass: true, maxDetections: 2 },
  } as unknown as Manifest;
  const open = { manifest, labels: ['person', 'car'] };
  let closed = 0;
  let clock = 0;
  const options = { now: () => clock++ };
  const DECLARED: Engine = {
    runtime: 'a stand-in',
    inputs: [{ names: ['image', 'image:0'], dtype: 'float32', dims: [1, 3, 4, 4], feeds: ['float32'] }],
    outputs: [{ names: ['out'], dtype: 'float32', dims: undefined, readable: true }],
    bind: () => async () => ({ out: { data: new Float32Array(0), dims: [1, 0, 6] } }),
    close: async () => {
      closed++;
    },
  };
  const rows = (...values: number[]) => ({ data: Float32Array.from(values), dims: [1, values.length / 6, 6] });
  const giving = (out: ReturnType<typeof rows>): Engine => ({ ...DECLARED, bind: () => async () => ({ out }) });

  it('sorts what needs no suppression, keeps overlaps, and cuts it off', async () => {
    const out = rows(0, 0, 4, 4, 0.6, 0, 0, 0, 4, 4, 0.9, 1, 0, 0, 4, 4, 0.8, 0);
    const model = await makeDetector(open, giving(out), options);
    const { detections, stagesMs } = await model.detect({ width: 8, height: 2, data: new Uint8Array(48) });
    expect(detections.map(({ label, score }) => `${label} ${score.toFixed(1)}`)).toEqual(['car 0.9', 'person 0.8']);
    expect(stagesMs).toEqual({ preprocess: 1, inference: 1, decode: 1 });
    expect(model.runtime).toBe('a stand-in');
  });

  it('gives the model the constants of the manifest, and wants them all', async () => {
    const size = { names: ['size'], dtype: 'int64', dims: [null, 2], feeds: [], constant: true };
    let seen: unknown;
    const engine: Engine = {
      ...DECLARED,
      inputs: [DECLARED.inputs[0], size],
      bind: (input, outputs, constants) => {
        seen = constants;
        return DECLARED.bind(input, outputs, constants);
      },
    };
    const load = (constants?: Record<string, number[]>, of = engine) =>
      makeDetector({ ...open, manifest: { ...manifest, input: { ...manifest.input, constants } } }, of, options);
    await load({ size: [4, 4] });
    expect(seen).toEqual({ size: [4, 4] });
    const wrong: (Record<string, number[]> | undefined)[] = [
      undefined,
      { size: [4] },
      { scale: [4, 4] },
      { size: [4, 4], scale: [1] },
    ];
    for (const constants of wrong) {
      await expect(load(constants)).rejects.toMatchObject({ code: 'MODEL_INPUT_MISMATCH' });
    }
    const unable = { ...engine, inputs: [DECLARED.inputs[0], { ...size, constant: false }] };
    await expect(load({ size: [4, 4] }, unable)).rejects.toMatchObject({ code: 'MODEL_INPUT_MISMATCH' });
  });

  it.each<[string, Partial<Engine>, string]>([
    ['no input', { inputs: [] }, 'MODEL_INPUT_MISMATCH'],
    ['two inputs', { inputs: [DECLARED.inputs[0], DECLARED.inputs[0]] }, 'MODEL_INPUT_MISMATCH'],
    ['an input it cannot feed', { inputs: [{ ...DECLARED.inputs[0], feeds: [] }] }, 'MODEL_INPUT_MISMATCH'],
    ['an input of another size', { inputs: [{ ...DECLARED.inputs[0], dims: [1, 3, 4, 5] }] }, 'MODEL_INPUT_MISMATCH'],
    ['no output of that name', { outputs: [] }, 'MODEL_OUTPUT_MISMATCH'],
    ['an output of strings', { outputs: [{ ...DECLARED.outputs[0], readable: false }] }, 'MODEL_OUTPUT_MISMATCH'],
    ['an output of another rank', { outputs: [{ ...DECLARED.outputs[0], dims: [6] }] }, 'MODEL_OUTPUT_MISMATCH'],
    ['a run that gives another shape', giving({ ...rows(1, 2, 3, 4, 5, 6), dims: [1, 3, 2] }), 'MODEL_OUTPUT_MISMATCH'],
    ['a run that gives too little', giving({ ...rows(1, 2, 3, 4, 5, 6), dims: [1, 2, 6] }), 'MODEL_OUTPUT_MISMATCH'],
    [
      'a run that fails',
      {
        bind: () => async () => {
          throw new Error('kernel');
        },
      },
      'MODEL_OUTPUT_MISMATCH',
    ],
  ])('refuses %s, and closes the engine', async (_name, change, code) => {
    closed = 0;
    await expect(makeDetector(open, { ...DECLARED, ...change }, options)).rejects.toMatchObject({ code });
    expect(closed).toBe(1);
  });
});
