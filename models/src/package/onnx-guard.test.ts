import { describe, expect, it } from 'vitest';
import { node, smallModel } from '../../test/quantize-model-fixture.js';
import { DataType } from '../quantize/onnx-proto.js';
import { floatTensor } from '../quantize/tensor-data.js';
import { guardOnnx } from './onnx-guard.js';

const codeOf = (bytes: Uint8Array): string => {
  try {
    guardOnnx(bytes, 'model.onnx');
    return 'passed';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

const outside = {
  name: 'w',
  dims: [4],
  dataType: DataType.float,
  dataLocation: 1,
  externalData: [{ key: 'location', value: '../../etc/passwd' }],
};
const relu = node('Relu', ['image'], 'y');

describe('guardOnnx', () => {
  it('passes a model whose weights stand inside', () => {
    expect(codeOf(smallModel(8, [relu], [floatTensor('w', [2], [1, 2])], ['y']))).toBe('passed');
  });

  it('refuses weights in other files, wherever the tensor stands', () => {
    const inAttribute = { ...relu, attribute: [{ name: 'value', type: 4, t: outside }] };
    const graph = { node: [inAttribute], initializer: [], input: [], output: [], valueInfo: [] };
    const inSubgraph = { ...relu, attribute: [{ name: 'body', type: 5, g: graph }] };
    expect(codeOf(smallModel(8, [relu], [outside], ['y']))).toBe('MODEL_EXTERNAL_DATA');
    expect(codeOf(smallModel(8, [inAttribute], [], ['y']))).toBe('MODEL_EXTERNAL_DATA');
    expect(codeOf(smallModel(8, [inSubgraph], [], ['y']))).toBe('MODEL_EXTERNAL_DATA');
    // Either mark is enough: which of them the runtime looks at is its own business.
    expect(codeOf(smallModel(8, [relu], [{ ...outside, dataLocation: undefined }], ['y']))).toBe('MODEL_EXTERNAL_DATA');
    expect(codeOf(smallModel(8, [relu], [{ ...outside, externalData: undefined }], ['y']))).toBe('MODEL_EXTERNAL_DATA');
  });

  it('refuses a group, behind which the runtime would read on', () => {
    const model = Buffer.from(smallModel(8, [relu], [outside], ['y']));
    // Field 90 as a group: start (90 << 3 | 3), end (90 << 3 | 4).
    expect(codeOf(Buffer.concat([Buffer.from([0xd3, 0x05, 0xd4, 0x05]), model]))).toBe('MODEL_LOAD_FAILED');
  });

  it('refuses a tag whose upper bits the runtime drops, as if it were the plain one', () => {
    const tensor = Buffer.from([0x70, 0x01]);
    // Tag of field 5 (initializer), wire type 2, in five bytes with a bit beyond the 32nd.
    const graph = Buffer.concat([Buffer.from([0xaa, 0x80, 0x80, 0x80, 0x10, tensor.length]), tensor]);
    expect(codeOf(Buffer.concat([Buffer.from([0x3a, graph.length]), graph]))).toBe('MODEL_EXTERNAL_DATA');
  });

  it('refuses an .ort file, and subgraphs nested beyond reason', () => {
    expect(codeOf(Buffer.from('\x00\x00\x00\x00ORTM....', 'latin1'))).toBe('MODEL_LOAD_FAILED');
    // model.graph, then (node, attribute, graph) 40 times, built from the inside.
    const wrap = (tag: number, inner: Buffer): Buffer => {
      const length: number[] = [];
      for (let rest = inner.length; ; rest >>= 7) {
        length.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return Buffer.concat([Buffer.from([tag, ...length]), inner]);
    };
    let deep: Buffer = Buffer.alloc(0);
    for (let level = 0; level < 40; level++) deep = wrap(0x0a, wrap(0x2a, wrap(0x32, deep)));
    expect(codeOf(wrap(0x3a, deep))).toBe('MODEL_LOAD_FAILED');
  });

  it('leaves bytes that are no protobuf to the runtime, in no time', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('hello'),
      Buffer.alloc(1 << 20, 0x08),
      Buffer.alloc(1 << 20, 0xff),
    ])
      expect(['passed', 'MODEL_LOAD_FAILED']).toContain(codeOf(bytes));
  });
});
