import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPackageDirectory } from '@vigie/models/package/package';
import sharp from 'sharp';
import { stringify } from 'yaml';
import type { Identity } from '../src/io/identity.js';
import { writeIdentity } from '../src/io/identity.js';
import { systemClock } from '../src/io/system-clock.js';
import type { CapturedFrame, Detector, DetectorFactory, InferenceResult } from '../src/ports.js';
import { startUpdater, type Updater, type UpdaterDependencies } from '../src/update-wiring.js';
import { FrameLoop } from '../src/vision/live-detector.js';
import { scratchFolder, sha256 } from './fleet-fixture.js';

const SIZE = 32;
export const PERSON = { classId: 0, label: 'person', score: 0.9, box: [0.25, 0.25, 0.75, 0.75] as const };

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A whole package whose model file is noise: its child is a fake. */
export async function makePackage(
  version: string,
  options: { name?: string; modelBytes?: number; seed?: number; requires?: object } = {},
): Promise<string> {
  const directory = scratchFolder();
  const model = noise(options.modelBytes ?? 300_000, options.seed ?? Number(version.replaceAll('.', '')));
  await mkdir(join(directory, 'golden'));
  await writeFile(join(directory, 'model.onnx'), model);
  await writeFile(join(directory, 'labels.txt'), 'person\n');
  const picture = sharp(noise(SIZE * SIZE * 3, 7), { raw: { width: SIZE, height: SIZE, channels: 3 } });
  await writeFile(join(directory, 'golden/a.png'), await picture.png().toBuffer());
  await writeFile(
    join(directory, 'manifest.yaml'),
    stringify({
      name: options.name ?? 'person-detector',
      version,
      task: 'detect',
      labels: 'labels.txt',
      license: 'Apache-2.0',
      model: { file: 'model.onnx', engine: 'onnx', precision: 'fp32', sha256: sha256(model) },
      input: {
        name: 'image',
        width: SIZE,
        height: SIZE,
        layout: 'NCHW',
        color: 'RGB',
        dtype: 'uint8',
        resize: 'stretch',
      },
      decoder: { type: 'anchor-free', strides: [8], outputs: { logits: 'logits', distances: 'distances' } },
      thresholds: { default: 0.4 },
      nms: { iou: 0.5, perClass: false, maxDetections: 100 },
      golden: [
        {
          file: 'golden/a.png',
          detections: [{ label: PERSON.label, score: PERSON.score, box: [...PERSON.box] }],
          tolerance: { score: 0.1, iou: 0.8 },
        },
      ],
      ...(options.requires === undefined ? {} : { requires: options.requires }),
    }),
  );
  return directory;
}

/** Deterministic bytes without repeats, so that no two chunks are equal. */
function noise(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(bytes);
  let state = seed * 2_654_435_761 + 1;
  for (let i = 0; i < bytes; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

/** How a fake child behaves, by package version. */
export interface Behaviour {
  /** Milliseconds in the child, as it tells them. */
  ms?: number;
  detections?: (live: boolean) => InferenceResult['detections'];
  loadError?: string;
  /** Dies at this live frame. */
  dieAtFrame?: number;
}

/** Fake children: everything around them is real. */
export class FakeFactory implements DetectorFactory {
  readonly spawned: string[] = [];
  readonly living = new Set<Detector>();

  constructor(readonly behaviours: Record<string, Behaviour> = {}) {}

  async spawn(directory: string): Promise<Detector> {
    const open = await openPackageDirectory(directory);
    const { name, version, model } = open.manifest;
    const behaviour = this.behaviours[version] ?? {};
    this.spawned.push(version);
    if (behaviour.loadError !== undefined) throw new Error(behaviour.loadError);
    const crashListeners: ((reason: string) => void)[] = [];
    let live = false;
    let frames = 0;
    const detector: Detector = {
      digest: open.digest,
      name,
      version,
      precision: model.precision,
      labels: open.labels,
      runtime: 'fake',
      pid: 1,
      detect: async () => {
        if (live) frames += 1;
        if (behaviour.dieAtFrame !== undefined && frames >= behaviour.dieAtFrame) {
          setImmediate(() => {
            for (const listener of crashListeners) listener('SIGSEGV');
          });
          throw new Error('SIGSEGV');
        }
        const detections = behaviour.detections?.(live) ?? [{ ...PERSON }];
        return { detections, stagesMs: { preprocess: 0, inference: behaviour.ms ?? 5, decode: 0 } };
      },
      promote: () => {
        live = true;
      },
      kill: (reason) => {
        for (const listener of crashListeners) listener(reason);
      },
      close: async () => {
        this.living.delete(detector);
      },
      onCrash: (listener) => crashListeners.push(listener),
    };
    this.living.add(detector);
    return detector;
  }
}

export interface Board {
  updater: Updater;
  live: FrameLoop;
  factory: FakeFactory;
  data: string;
  stop(): Promise<void>;
}

export interface BoardOptions {
  identity: Identity | null;
  data?: string;
  bundled?: string | null;
  behaviours?: Record<string, Behaviour>;
  factory?: DetectorFactory;
  more?: Partial<UpdaterDependencies>;
  /** No frames come. */
  blind?: boolean;
}

/** A board with a real frame loop, a real link and a real disk; frames come every 5 ms. */
export async function startBoard(options: BoardOptions): Promise<Board> {
  const data = options.data ?? scratchFolder();
  if (options.identity !== null && options.data === undefined) await writeIdentity(data, options.identity);
  const factory = new FakeFactory(options.behaviours);
  const live = new FrameLoop({
    clock: systemClock,
    factory: options.factory ?? factory,
    frameSize: { width: SIZE, height: SIZE },
    flow: null,
  });
  const updater = await startUpdater({
    live,
    factory: options.factory ?? factory,
    clock: systemClock,
    dataDirectory: data,
    bundledPackage: options.bundled ?? null,
    identity: options.identity,
    log: silent,
    agentVersion: '0.1.0',
    hardwareClass: 'generic-x64',
    // Nobody listens for HTTPS here: the second transport would only try for longer than a test waits.
    delivery: { transport: 'mqtt', maxBytesPerSecond: 0, monthlyBytes: 0, metered: false, stallMs: 300 },
    timing: { messageMs: 300, retryMs: { first: 50, longest: 200 }, resendMs: 200 },
    ...options.more,
  });
  let sequence = 0;
  const model = new Uint8Array(3 * SIZE * SIZE);
  const frames = setInterval(() => {
    if (options.blind === true) return;
    sequence += 1;
    const frame: CapturedFrame = { sequence, capturedAt: performance.now(), model, view: model, release() {} };
    live.offer(frame);
  }, 5);
  await updater.start();
  return {
    updater,
    live,
    factory,
    data,
    async stop() {
      await updater.stop();
      clearInterval(frames);
      await live.stop();
    },
  };
}
