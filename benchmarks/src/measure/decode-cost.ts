import type { InputSpec } from '@vigie/models/package/manifest';
import { runCommand } from '../rig/command.js';
import { CLIP_FRAMES } from '../rig/repository.js';
import { decodeArguments, modelFrameFilter } from './clip-frames.js';
import { reapedCpuSeconds } from './process-tree.js';

/**
 * CPU seconds per frame of decoding the clip and scaling to the model's frame, thrown away: what any board must pay.
 * The cost of starting ffmpeg, measured on one frame, is taken off.
 */
export async function measureDecodeCost(clip: string, input: InputSpec, loops: number): Promise<number> {
  const output = ['-vf', modelFrameFilter(input), '-filter_threads', '1', '-an', '-f', 'null', '-'];
  const cost = async (args: string[]): Promise<number> => {
    const before = reapedCpuSeconds();
    await runCommand('ffmpeg', 'ffmpeg', args, { timeoutMs: 600_000 });
    return reapedCpuSeconds() - before;
  };
  const start = await cost([...decodeArguments(clip, 1), '-frames:v', '1', ...output]);
  const all = await cost([...decodeArguments(clip, loops), ...output]);
  return Math.max(0, all - start) / (loops * CLIP_FRAMES - 1);
}
