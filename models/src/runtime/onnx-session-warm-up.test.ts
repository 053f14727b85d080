import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { smallestModel, warmUpOnnxRuntime } from './onnx-session-warm-up.js';

describe('warming ONNX Runtime up', () => {
  it('runs a model that is valid ONNX', async () => {
    const session = await InferenceSession.create(smallestModel());
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(-3), [1]) });
    expect([...(y.data as Float32Array)]).toEqual([0]);
    await session.release();
  });

  it('leaves nothing behind', async () => {
    await warmUpOnnxRuntime();
    await warmUpOnnxRuntime();
  });
});
