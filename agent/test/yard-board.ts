import { fileURLToPath } from 'node:url';
import { parseSource } from '../src/io/ffmpeg-arguments.js';
import { FfmpegCamera } from '../src/io/ffmpeg-camera.js';
import { InferenceChildFactory } from '../src/io/inference-child.js';
import { systemClock } from '../src/io/system-clock.js';
import type { Clock, FrameResult } from '../src/ports.js';
import { runShadow } from '../src/update/shadow-run.js';
import { FrameLoop } from '../src/vision/live-detector.js';
import { until } from './fleet-fixture.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CLIP = at('../../models/media/yard.mp4');
export const FP32 = at('../../models/zoo/person-detector-fp32');
export const INT8 = at('../../models/zoo/person-detector-int8');
export const CLASSIFIER = at('../../models/zoo/person-classifier-int8');
/** For models that do not tell their own threshold; these all do. */
export const FLOOR = 0.4;

const cleanups: (() => Promise<void>)[] = [];

/** Ends the boards of a test, newest part first. */
export async function endBoards(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** The yard clip, over and over and as fast as it is detected on, before real children. */
export async function yardBoard(directory: string) {
  const factory = new InferenceChildFactory({
    ...{ threads: 1, frameTimeoutMs: 20_000, loadTimeoutMs: 30_000, floorRatio: 0.5 },
    log: { debug() {}, warn() {} },
    entry: at('../dist/io/inference-main.js'),
  });
  const model = { width: 320, height: 320, resize: 'stretch' as const };
  const camera = new FfmpegCamera(
    {
      source: parseSource(CLIP),
      ...{ realtime: false, loop: true, lossless: true, fps: null, viewWidth: 320, stallMs: 20_000, model },
    },
    { clock: systemClock, log: { info() {}, warn() {} }, random: () => 0 },
  );
  const flow = { pause: () => camera.pause(), resume: () => camera.resume() };
  const loop = new FrameLoop({ clock: systemClock, factory, frameSize: model, flow });
  cleanups.push(
    () => loop.stop(),
    () => camera.stop(),
  );
  const results: FrameResult[] = [];
  loop.onResult((result) => results.push(result));
  await loop.start(directory);
  camera.start((frame) => loop.offer(frame));
  await until('live results', () => results.length > 10);
  return { loop, factory, results };
}

export type YardBoard = Awaited<ReturnType<typeof yardBoard>>;

/** Starts a shadow run of the package in `directory` whose time is up after so many compared frames, on a slow machine too. */
export async function shadow({ loop, factory }: YardBoard, directory: string, frames: number) {
  const candidate = await factory.spawn(directory, 'background');
  cleanups.push(() => candidate.close());
  const seconds = 600;
  let timeIsUp = () => {};
  const clock: Clock = {
    ...systemClock,
    after(ms, run) {
      if (ms !== seconds * 1000) return systemClock.after(ms, run);
      timeIsUp = run;
      return () => {};
    },
  };
  let compared = 0;
  loop.onComparison(() => {
    compared += 1;
    if (compared === frames) timeIsUp();
  });
  const subject = {
    candidate,
    policy: { seconds, everyFrames: 2, outcome: 'report' as const, minAgreement: 0.5 },
    maxTemperatureC: 80,
    scoreFloor: FLOOR,
  };
  return { candidate, run: runShadow(loop, clock, subject, new AbortController().signal) };
}
