import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { decodeModel, encodeModel, int64ToNumber } from '../src/quantize/onnx-proto.js';
import { floatValues } from '../src/quantize/tensor-data.js';

const fp32 = new URL('../zoo/person-detector-fp32/model.onnx', import.meta.url);

describe('the ONNX file format', () => {
  it('survives a round trip byte for byte', async () => {
    const bytes = await readFile(fp32);
    const model = decodeModel(bytes);
    const again = encodeModel(model);
    expect(Buffer.compare(again, bytes)).toBe(0);
    expect(int64ToNumber(model.opsetImport[0].version)).toBe(13);
    const weights = model.graph.initializer.find((t) => t.name === 'stem.0.weight');
    expect(weights && floatValues(weights).length).toBe(16 * 3 * 3 * 3);
  });

  it('keeps fields it does not know, at any depth', () => {
    // field 90 as varint 300, and field 91 as the bytes "hello"
    const unknown = Buffer.from([0xd0, 0x05, 0xac, 0x02, 0xda, 0x05, 0x05, ...Buffer.from('hello')]);
    const node = Buffer.concat([Buffer.from([0x0a, 0x01, 0x78, 0x22, 0x04, ...Buffer.from('Relu')]), unknown]);
    const graph = Buffer.concat([Buffer.from([0x0a, node.length]), node]);
    const model = Buffer.concat([Buffer.from([0x08, 0x07, 0x3a, graph.length]), graph, unknown]);
    expect(Buffer.from(encodeModel(decodeModel(model))).equals(model)).toBe(true);
  });

  it('keeps a value that equals the default, such as an attribute i = 0', () => {
    const attribute = Buffer.from([0x0a, 0x01, 0x61, 0x18, 0x00, 0xa0, 0x01, 0x02]);
    const node = Buffer.from([0x22, 0x01, 0x78, 0x2a, attribute.length, ...attribute]);
    const model = Buffer.from([0x08, 0x07, 0x3a, node.length + 2, 0x0a, node.length, ...node]);
    expect(Buffer.from(encodeModel(decodeModel(model))).equals(model)).toBe(true);
  });

  it('keeps integers beyond 2^53 exact', () => {
    const most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    const model = Buffer.from([0x08, ...most, 0x3a, 0x00]);
    expect(Buffer.from(encodeModel(decodeModel(model))).equals(model)).toBe(true);
  });
});
