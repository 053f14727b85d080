import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Camera, CameraState, CapturedFrame, Clock } from '../ports.js';
import {
  type CaptureOptions,
  captureArguments,
  contentRectangle,
  MODEL_FD,
  redactCredentials,
  type SourceInfo,
  VIEW_FD,
  viewSize,
} from './ffmpeg-arguments.js';
import { type FramePipe, readFrames } from './frame-pipe.js';
import { type FramePart, FrameRing } from './frame-ring.js';
import { probeSource } from './source-probe.js';
import { Watchdog } from './watchdog.js';

export interface FfmpegCameraOptions extends CaptureOptions {
  /** Files: hold the source instead of losing a frame. */
  lossless: boolean;
  /** Silence after which ffmpeg is ended and started again, ms. */
  stallMs: number;
}

export interface FfmpegCameraDependencies {
  clock: Clock;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** 0 ≤ value < 1, for jitter. */
  random(): number;
  /** How a pipe of ffmpeg is read; straight into the slots by default. */
  readPipe?: typeof readFrames;
}

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** A connection that lasted so long was a good one: its end is a new trouble, not the old one going on. */
const GOOD_CONNECTION_MS = 30_000;
const KILL_AFTER_MS = 3000;
/** Frames held at once by the consumer: one waiting, one in detection, one in comparison. */
const CONSUMER_SLOTS = 3;
const STDERR_BYTES = 2000;
const DRAIN_POLL_MS = 20;

/** A camera that is an ffmpeg process, started again with backoff whenever it ends, stalls or cannot be reached. */
export class FfmpegCamera implements Camera {
  readonly #options: FfmpegCameraOptions;
  readonly #dependencies: FfmpegCameraDependencies;
  readonly #watchdog: Watchdog;
  #state: CameraState = { status: 'starting' };
  #onFrame: (frame: CapturedFrame) => void = () => {};
  #onState: (state: CameraState) => void = () => {};
  #ring: FrameRing | null = null;
  #ringShape = '';
  #view = { width: 2, height: 2 };
  #frameMs: number | null = null;
  #process: ChildProcess | null = null;
  #pipes: Partial<Record<FramePart, FramePipe>> = {};
  #sequence = 0;
  #attempt = 0;
  #paused = false;
  #stopped = false;
  #silent = false;
  #cancelRetry: (() => void) | null = null;
  #abort = new AbortController();

  constructor(options: FfmpegCameraOptions, dependencies: FfmpegCameraDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#watchdog = new Watchdog(dependencies.clock, options.stallMs, () => {
      this.#silent = true;
      this.#terminate();
    });
  }

  get state(): CameraState {
    return this.#state;
  }

  get view(): { width: number; height: number } {
    return this.#view;
  }

  /** Time between two frames of the source, ms; null when it does not say. */
  get frameMs(): number | null {
    return this.#frameMs;
  }

  /** ffmpeg's process id while it runs. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Complete frames lost because the consumer held every slot. */
  get overwritten(): number {
    return this.#ring?.overwritten ?? 0;
  }

  onState(listener: (state: CameraState) => void): void {
    this.#onState = listener;
  }

  start(onFrame: (frame: CapturedFrame) => void): void {
    this.#onFrame = onFrame;
    void this.#connect();
  }

  pause(): void {
    this.#paused = true;
    this.#watchdog.hold(true);
    this.#ring?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#watchdog.hold(false);
    this.#ring?.resume();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#abort.abort();
    const running = this.#process;
    if (running === null) return;
    const exited = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    this.#terminate();
    await exited;
  }

  #become(state: CameraState): void {
    this.#state = state;
    this.#onState(state);
  }

  async #connect(): Promise<void> {
    const { source } = this.#options;
    const probe = await probeSource(source, this.#abort.signal);
    if (this.#stopped) return;
    if (!probe.ok) this.#retry(probe.reason);
    else this.#capture(probe.info);
  }

  #capture(info: SourceInfo): void {
    const { clock, log } = this.#dependencies;
    const ring = this.#prepareRing(info);
    const fps = limitedRate(this.#options.fps, info.fps);
    this.#frameMs = fps === null ? null : 1000 / fps;
    const startedAt = clock.now();
    const child = spawn('ffmpeg', captureArguments(this.#options, info), {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.#silent = false;
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString('utf8')).slice(-STDERR_BYTES);
    });
    const readPipe = this.#dependencies.readPipe ?? readFrames;
    this.#pipes = {
      model: readPipe(child.stdio[MODEL_FD] as Socket, 'model', ring),
      view: readPipe(child.stdio[VIEW_FD] as Socket, 'view', ring),
    };
    this.#watchdog.start();
    log.info({ source: redactCredentials(this.#options.source.url), ...info, view: this.#view }, 'capture started');
    const ended = (reason: string, cleanly: boolean) => {
      if (this.#process !== child) return;
      this.#process = null;
      this.#watchdog.stop();
      if (this.#stopped) this.#closePipes();
      if (this.#stopped) return;
      if (clock.now() - startedAt > GOOD_CONNECTION_MS) this.#attempt = 0;
      const finished = cleanly && this.#options.source.kind === 'file' && !this.#options.loop;
      if (finished) void this.#finish();
      else this.#retry(this.#silent ? `no frame for ${this.#options.stallMs / 1000} s` : reason);
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      ended(error.code === 'ENOENT' ? 'ffmpeg is not installed' : error.message, false);
    });
    child.once('exit', (code, signal) => {
      const line = redactCredentials(errors.trim().split('\n').at(-1) ?? '').slice(0, 300);
      ended(line || `ffmpeg ended (${signal ?? `exit ${code}`})`, code === 0);
    });
  }

  /** Slots are kept over reconnects; another size makes new ones. */
  #prepareRing(info: SourceInfo): FrameRing {
    const { model, lossless, viewWidth } = this.#options;
    const view = viewSize(info, viewWidth);
    const content = contentRectangle(info, model);
    const shape = JSON.stringify([view, content]);
    if (this.#ring !== null && this.#ringShape === shape) {
      this.#ring.restart();
      return this.#ring;
    }
    const ring = new FrameRing({
      modelBytes: 3 * model.width * model.height,
      viewBytes: (view.width * view.height * 3) / 2,
      consumerSlots: CONSUMER_SLOTS,
      lossless,
      content,
      now: this.#dependencies.clock.now,
      nextSequence: () => {
        this.#sequence += 1;
        return this.#sequence;
      },
      onFrame: (frame) => this.#deliver(ring, frame),
      onRoom: (part) => this.#pipes[part]?.wake(),
    });
    this.#ring = ring;
    this.#ringShape = shape;
    this.#view = view;
    if (this.#paused) ring.pause();
    return ring;
  }

  #deliver(ring: FrameRing, frame: CapturedFrame): void {
    if (ring !== this.#ring || this.#stopped) {
      frame.release();
      return;
    }
    this.#watchdog.feed();
    if (this.#state.status !== 'streaming') this.#become({ status: 'streaming', ...this.#view });
    this.#onFrame(frame);
  }

  /** The file is over once its last frames, which may still stand in the pipes and the ring, have been dealt with. */
  async #finish(): Promise<void> {
    await Promise.all(Object.values(this.#pipes).map((pipe) => pipe.ended));
    while (!this.#stopped && this.#ring?.idle === false) {
      await new Promise<void>((resolve) => this.#dependencies.clock.after(DRAIN_POLL_MS, resolve));
    }
    if (!this.#stopped) this.#become({ status: 'ended' });
  }

  #retry(reason: string): void {
    const { clock, log, random } = this.#dependencies;
    this.#closePipes();
    const backoff = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempt, 10));
    const nextAttemptInMs = Math.round(backoff * (0.75 + 0.5 * random()));
    this.#attempt += 1;
    this.#become({ status: 'retrying', attempt: this.#attempt, nextAttemptInMs, reason });
    log.warn({ reason, attempt: this.#attempt, nextAttemptInMs }, 'camera gave no frames, trying again');
    this.#cancelRetry = clock.after(nextAttemptInMs, () => void this.#connect());
  }

  #closePipes(): void {
    for (const pipe of Object.values(this.#pipes)) pipe.close();
    this.#pipes = {};
  }

  #terminate(): void {
    const running = this.#process;
    if (running === null) return;
    running.kill('SIGTERM');
    const cancel = this.#dependencies.clock.after(KILL_AFTER_MS, () => running.kill('SIGKILL'));
    running.once('exit', cancel);
  }
}

function limitedRate(limit: number | null, source: number | null): number | null {
  if (limit === null || source === null) return limit ?? source;
  return Math.min(limit, source);
}
