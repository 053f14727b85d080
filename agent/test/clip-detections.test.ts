import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Box, intersectionOverUnion } from '@vigie/models/runtime/detection';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, expect, it } from 'vitest';
import { parseSource } from '../src/io/ffmpeg-arguments.js';
import { FfmpegCamera } from '../src/io/ffmpeg-camera.js';
import { InferenceChildFactory } from '../src/io/inference-child.js';
import { systemClock } from '../src/io/system-clock.js';
import { FrameLoop } from '../src/vision/live-detector.js';
import { until } from './fleet-fixture.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CLIP = at('../../models/media/yard.mp4');
const PACKAGE = at('../../models/zoo/person-detector-fp32');
const SIZE = 320;
const STRIDES = [8, 16, 32];
const FLOOR = 0.3;
const NMS_IOU = 0.5;
const FRAMES = 230;

interface Found {
  score: number;
  box: Box;
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** The model on its own: no code of ours but what stands here, written from models/training/README.md. */
async function modelAlone(): Promise<Found[][]> {
  // Packed RGB would take another path through ffmpeg's scaler: up to 0.005 of a score.
  const filter = `scale=${SIZE}:${SIZE}:flags=bilinear,format=gbrp`;
  const args = ['-v', 'error', '-i', CLIP, '-vf', filter, '-f', 'rawvideo', '-'];
  const { stdout } = spawnSync('ffmpeg', args, { maxBuffer: 1 << 28 });
  const session = await InferenceSession.create(`${PACKAGE}/model.onnx`, { intraOpNumThreads: 1 });
  const plane = SIZE * SIZE;
  const frames: Found[][] = [];
  for (let start = 0; start + 3 * plane <= stdout.length; start += 3 * plane) {
    const input = new Float32Array(3 * plane);
    // ffmpeg writes G, B, R; the model wants R, G, B.
    for (const [channel, from] of [2, 0, 1].entries())
      input.set(stdout.subarray(start + from * plane, start + (from + 1) * plane), channel * plane);
    const outputs = await session.run({ image: new Tensor('float32', input, [1, 3, SIZE, SIZE]) });
    frames.push(decode(outputs.logits.data as Float32Array, outputs.distances.data as Float32Array));
  }
  await session.release();
  return frames;
}

function decode(logits: Float32Array, distances: Float32Array): Found[] {
  const found: Found[] = [];
  let location = 0;
  for (const stride of STRIDES) {
    for (let y = 0; y < SIZE / stride; y += 1) {
      for (let x = 0; x < SIZE / stride; x += 1, location += 1) {
        const score = 1 / (1 + Math.exp(-logits[location]));
        const side = (index: number) => (distances[4 * location + index] * stride) / SIZE;
        const [centreX, centreY] = [((x + 0.5) * stride) / SIZE, ((y + 0.5) * stride) / SIZE];
        const sides = [centreX - side(0), centreY - side(1), centreX + side(2), centreY + side(3)];
        const box = sides.map((value) => Math.min(1, Math.max(0, value))) as unknown as Box;
        if (score >= FLOOR) found.push({ score, box });
      }
    }
  }
  const kept: Found[] = [];
  for (const candidate of found.sort((a, b) => b.score - a.score)) {
    if (kept.every(({ box }) => intersectionOverUnion(box, candidate.box) <= NMS_IOU)) kept.push(candidate);
  }
  return kept;
}

/** The board's own way: ffmpeg, ring, mailbox, child process. */
async function throughTheBoard(): Promise<Found[][]> {
  const factory = new InferenceChildFactory({
    ...{ threads: 1, frameTimeoutMs: 20_000, loadTimeoutMs: 30_000, floorRatio: 1, threshold: FLOOR },
    log: { debug() {}, warn() {} },
    entry: at('../dist/io/inference-main.js'),
  });
  const model = { width: SIZE, height: SIZE, resize: 'stretch' as const };
  const camera = new FfmpegCamera(
    {
      source: parseSource(CLIP),
      ...{ realtime: false, loop: false, lossless: true, fps: null, viewWidth: 1280, stallMs: 20_000, model },
    },
    { clock: systemClock, log: { info() {}, warn() {} }, random: () => 0 },
  );
  const flow = { pause: () => camera.pause(), resume: () => camera.resume() };
  const loop = new FrameLoop({ clock: systemClock, factory, frameSize: model, flow });
  cleanups.push(
    () => camera.stop(),
    () => loop.stop(),
  );
  const frames: Found[][] = [];
  loop.onResult(({ sequence, detections }) => {
    frames[sequence - 1] = detections.map(({ score, box }) => ({ score, box }));
  });
  await loop.start(PACKAGE);
  camera.start((frame) => loop.offer(frame));
  await until('the end of the clip', () => camera.state.status === 'ended' && frames.length === FRAMES, 50_000);
  expect(loop.drops).toEqual({});
  return frames;
}

it('the board finds on every frame of the clip what the model finds on its own', { timeout: 110_000 }, async () => {
  const expected = await modelAlone();
  const actual = await throughTheBoard();
  expect(expected).toHaveLength(FRAMES);
  expect(expected.flat().length).toBeGreaterThan(FRAMES);
  const inOrder = (found: Found[]) => [...found].sort((a, b) => b.score - a.score);
  for (const [index, wanted] of expected.entries()) {
    const seen = inOrder(actual[index]);
    expect(seen.length, `frame ${index}`).toBe(wanted.length);
    for (const [rank, { score, box }] of wanted.entries()) {
      expect(seen[rank].score, `frame ${index}`).toBeCloseTo(score, 4);
      for (const side of [0, 1, 2, 3]) expect(seen[rank].box[side], `frame ${index}`).toBeCloseTo(box[side], 4);
    }
  }
});
