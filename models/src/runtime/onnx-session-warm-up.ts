import './onnx-session-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** A protobuf field of length-delimited type; everything here is shorter than 128 bytes. */
function field(number: number, content: string | readonly number[]): number[] {
  const bytes = typeof content === 'string' ? [...Buffer.from(content, 'latin1')] : content;
  return [(number << 3) | 2, bytes.length, ...bytes];
}

/** An ONNX ModelProto (onnx.proto3) of one Relu on a tensor of one float. */
export function smallestModel(): Uint8Array {
  const value = (name: string) => [
    ...field(1, name),
    // type: a tensor of elem_type float32 with one dim of dim_value 1
    ...field(2, field(1, [0x08, 1, ...field(2, field(1, [0x08, 1]))])),
  ];
  const node = [...field(1, 'x'), ...field(2, 'y'), ...field(4, 'Relu')];
  const graph = [...field(1, node), ...field(2, 'g'), ...field(11, value('x')), ...field(12, value('y'))];
  // ir_version 8, opset_import {version 13}
  return Uint8Array.from([0x08, 8, ...field(7, graph), ...field(8, [0x10, 13])]);
}

/**
 * Loads and runs the smallest model there is: the first session of a process also registers all operators and kernels (30 to
 * 50 ms of CPU time), and a process that waits for a model can have that behind it.
 */
export async function warmUpOnnxRuntime(): Promise<void> {
  const session = await InferenceSession.create(smallestModel(), { executionProviders: ['cpu'], logSeverityLevel: 3 });
  await session.run({ x: new Tensor('float32', Float32Array.of(-1), [1]) });
  await session.release();
}
