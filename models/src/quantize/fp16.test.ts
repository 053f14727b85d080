import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { toHalfWeights } from './fp16.js';
import { decodeModel, encodeModel } from './onnx-proto.js';

describe('half precision weights', () => {
  it('make the shipped detector half as large and change its outputs by a thousandth', async () => {
    const bytes = await readFile(new URL('../../zoo/person-detector-fp32/model.onnx', import.meta.url));
    const model = decodeModel(bytes);
    expect(toHalfWeights(model)).toEqual({ tensors: 34, tooLarge: [] });
    const half = encodeModel(model);
    expect(half.length / bytes.length).toBeLessThan(0.52);
    const sessions = await Promise.all([bytes, half].map((m) => InferenceSession.create(m)));
    const [input] = sessions[0].inputMetadata;
    const { name } = input;
    const shape = input.isTensor ? input.shape.map(Number) : [];
    const count = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: count }, (_, i) => ((i * 2654435761) % 1009) / 1009);
    const [full, halved] = await Promise.all(
      sessions.map((s) => s.run({ [name]: new Tensor('float32', data, shape) })),
    );
    for (const [output, tensor] of Object.entries(full)) {
      const wanted = tensor.data as Float32Array;
      const got = halved[output].data as Float32Array;
      const largest = wanted.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
      const difference = wanted.reduce((a, v, i) => Math.max(a, Math.abs(v - got[i])), 0);
      expect(difference).toBeGreaterThan(0);
      expect(difference).toBeLessThan(0.005 * largest);
    }
    await Promise.all(sessions.map((s) => s.release()));
  });

  it('leave a tensor with a value beyond 65504 alone, and say so', async () => {
    const bytes = await readFile(new URL('../../zoo/person-detector-fp32/model.onnx', import.meta.url));
    const model = decodeModel(bytes);
    const tensor = model.graph.initializer.find((t) => t.name === 'stem.0.weight')!;
    tensor.rawData = Uint8Array.from(tensor.rawData!);
    new DataView(tensor.rawData.buffer).setFloat32(0, 1e6, true);
    expect(toHalfWeights(model)).toEqual({ tensors: 33, tooLarge: ['stem.0.weight'] });
  });
});
