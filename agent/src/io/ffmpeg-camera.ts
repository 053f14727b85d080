import type { Camera, CameraState, CapturedFrame, Clock, ModelFrameSpec } from '../ports.js';
import {
  type CaptureOptions,
  captureArguments,
  frameInterval,
  redactCredentials,
  type SourceInfo,
  viewSize,
} from './ffmpeg-arguments.js';
import { FfmpegCapture } from './ffmpeg-capture.js';
import { FrameFeed, feedShape, modelShape, type Standby } from './frame-feed.js';
import { readFrames } from './frame-pipe.js';
import { probeSource } from './source-probe.js';
import { Watchdog } from './watchdog.js';

export interface FfmpegCameraOptions extends CaptureOptions {
  /** Files: hold the source instead of losing a frame. */
  lossless: boolean;
  /** Silence after which ffmpeg is ended and started again, ms. */
  stallMs: number;
  /** The source can be opened only once at a time: true for a device (v4l2), false for others by default. */
  exclusive?: boolean;
}

export interface FfmpegCameraDependencies {
  clock: Clock;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** 0 ≤ value < 1, for jitter. */
  random(): number;
  /** How a pipe of ffmpeg is read; straight into the slots by default. */
  readPipe?: typeof readFrames;
}

const RETRY_MS = { first: 1000, longest: 60_000 };
/** A connection that lasted so long was a good one: its end is a new trouble, not the old one going on. */
const GOOD_CONNECTION_MS = 30_000;
const DRAIN_POLL_MS = 20;
/** A source may begin with a burst of old pictures, from its last key frame on: a second capture is let run so long. */
const SETTLE_MS = 1000;
/** A second capture that is not ready by then is given up; the first goes on. */
const HAND_OVER_LIMIT_MS = 15_000;

/** A camera that is an ffmpeg process, started again with backoff whenever it ends, stalls or cannot be reached. */
export class FfmpegCamera implements Camera {
  readonly #options: FfmpegCameraOptions;
  readonly #dependencies: FfmpegCameraDependencies;
  readonly #watchdog: Watchdog;
  #state: CameraState = { status: 'starting' };
  #onFrame: (frame: CapturedFrame) => void = () => {};
  #onState: (state: CameraState) => void = () => {};
  #feed: FrameFeed | null = null;
  #standby: Standby | null = null;
  #info: SourceInfo | null = null;
  #view = { width: 2, height: 2 };
  #frameMs: number | null = null;
  #sequence = 0;
  #attempt = 0;
  #paused = false;
  #stopped = false;
  #silent = false;
  /** The capture was ended by us, to start again at once in another size. */
  #resizing = false;
  #cancelRetry: (() => void) | null = null;
  #abort = new AbortController();

  constructor(options: FfmpegCameraOptions, dependencies: FfmpegCameraDependencies) {
    this.#options = { ...options, model: { ...options.model } };
    this.#dependencies = dependencies;
    this.#watchdog = new Watchdog(dependencies.clock, options.stallMs, () => {
      this.#silent = true;
      void this.#feed?.capture?.terminate();
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
    return this.#feed?.capture?.pid ?? null;
  }

  onState(listener: (state: CameraState) => void): void {
    this.#onState = listener;
  }

  start(onFrame: (frame: CapturedFrame) => void): void {
    this.#onFrame = onFrame;
    void this.#connect();
  }

  /**
   * Model frames shall come in this size and shape from now on; each frame says which it has. A network source is opened a second
   * time and taken over between two frames once it runs steadily, so that none is missed. An exclusive source is closed and opened
   * again, which costs about a second of frames. A file keeps its size until it is next started.
   */
  useModel(model: ModelFrameSpec): void {
    if (modelShape(model) === modelShape(this.#options.model)) return;
    this.#options.model = { ...model };
    void this.#endStandby();
    const { source, exclusive = source.kind === 'v4l2' } = this.#options;
    const capture = this.#feed?.capture ?? null;
    if (this.#stopped || capture === null || capture.pid === null || this.#info === null) return;
    if (source.kind === 'file') return;
    const { width, height } = model;
    this.#dependencies.log.info({ width, height }, 'the camera changes over to the size of the new model');
    if (exclusive) {
      this.#resizing = true;
      void capture.terminate();
    } else this.#beginStandby(this.#info);
  }

  pause(): void {
    this.#paused = true;
    this.#watchdog.hold(true);
    this.#feed?.ring.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#watchdog.hold(false);
    this.#feed?.ring.resume();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#abort.abort();
    await Promise.all([this.#endStandby(), this.#feed?.capture?.terminate()]);
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
    const feed = this.#prepareFeed(info);
    this.#frameMs = frameInterval(this.#options, info);
    this.#info = info;
    this.#silent = false;
    this.#run(feed, info);
    this.#watchdog.start();
    const { log } = this.#dependencies;
    log.info({ source: redactCredentials(this.#options.source.url), ...info, view: this.#view }, 'capture started');
  }

  #run(feed: FrameFeed, info: SourceInfo): void {
    const { clock, readPipe = readFrames } = this.#dependencies;
    const startedAt = clock.now();
    const capture = new FfmpegCapture({
      clock,
      arguments: captureArguments(this.#options, info),
      ring: feed.ring,
      readPipe,
      onEnd: (reason, cleanly) => {
        if (feed === this.#standby?.feed) this.#giveUpStandby(reason);
        else if (feed !== this.#feed || feed.capture !== capture) capture.closePipes();
        else this.#ended(capture, clock.now() - startedAt > GOOD_CONNECTION_MS, reason, cleanly);
      },
    });
    feed.capture = capture;
  }

  #ended(capture: FfmpegCapture, wasGood: boolean, reason: string, cleanly: boolean): void {
    this.#watchdog.stop();
    if (this.#stopped) {
      capture.closePipes();
      return;
    }
    if (wasGood) this.#attempt = 0;
    if (this.#standby !== null && this.#standby.since !== null) {
      capture.closePipes();
      this.#takeOver(this.#standby);
      return;
    }
    void this.#endStandby();
    const finished = cleanly && this.#options.source.kind === 'file' && !this.#options.loop;
    if (this.#resizing && this.#info !== null) {
      this.#resizing = false;
      capture.closePipes();
      this.#capture(this.#info);
    } else if (finished) void this.#finish(capture);
    else this.#retry(this.#silent ? `no frame for ${this.#options.stallMs / 1000} s` : reason);
  }

  /** Slots are kept over reconnects; another size makes new ones. */
  #prepareFeed(info: SourceInfo): FrameFeed {
    const { model, viewWidth } = this.#options;
    if (this.#feed?.shape === feedShape(info, model, viewWidth)) {
      this.#feed.ring.restart();
      return this.#feed;
    }
    const feed = this.#newFeed(info);
    this.#feed = feed;
    this.#view = viewSize(info, viewWidth);
    if (this.#paused) feed.ring.pause();
    return feed;
  }

  #newFeed(info: SourceInfo): FrameFeed {
    return new FrameFeed({
      info,
      capture: this.#options,
      now: this.#dependencies.clock.now,
      // Only frames of the feed that counts are numbered: nobody misses those of a second one.
      nextSequence: (feed) => {
        if (feed === this.#feed) this.#sequence += 1;
        return this.#sequence;
      },
      onFrame: (feed, frame) => this.#deliver(feed, frame),
    });
  }

  #deliver(feed: FrameFeed, frame: CapturedFrame): void {
    const { clock } = this.#dependencies;
    const standby = this.#standby;
    if (feed === standby?.feed) standby.since ??= clock.now();
    if (feed !== this.#feed || this.#stopped) {
      frame.release();
      return;
    }
    this.#watchdog.feed();
    if (this.#state.status !== 'streaming') this.#become({ status: 'streaming', ...this.#view });
    this.#onFrame(frame);
    // Right after a frame of the first capture the next one of the second is no further away than the camera's own pace.
    const settled = standby !== null && standby.since !== null && clock.now() - standby.since >= SETTLE_MS;
    if (settled) this.#takeOver(standby);
  }

  #beginStandby(info: SourceInfo): void {
    const feed = this.#newFeed(info);
    const giveUp = () => this.#giveUpStandby('not ready in time');
    this.#standby = { feed, since: null, cancelLimit: this.#dependencies.clock.after(HAND_OVER_LIMIT_MS, giveUp) };
    this.#run(feed, info);
  }

  #takeOver({ feed, cancelLimit }: Standby): void {
    cancelLimit();
    const before = this.#feed?.capture;
    this.#standby = null;
    this.#feed = feed;
    this.#silent = false;
    this.#watchdog.start();
    void before?.terminate();
    const { width, height } = this.#options.model;
    this.#dependencies.log.info({ width, height }, 'capture taken over in the size of the new model');
  }

  #giveUpStandby(reason: string): void {
    const { width, height } = this.#options.model;
    this.#dependencies.log.warn({ reason, width, height }, 'the size of the new model comes with the next reconnect');
    void this.#endStandby();
  }

  #endStandby(): Promise<void> | undefined {
    const standby = this.#standby;
    this.#standby = null;
    standby?.cancelLimit();
    return standby?.feed.capture?.terminate();
  }

  /** The file is over once its last frames, which may still stand in the pipes and the ring, have been dealt with. */
  async #finish(capture: FfmpegCapture): Promise<void> {
    await capture.drained();
    while (!this.#stopped && this.#feed?.ring.idle === false) {
      await new Promise<void>((resolve) => this.#dependencies.clock.after(DRAIN_POLL_MS, resolve));
    }
    if (!this.#stopped) this.#become({ status: 'ended' });
  }

  #retry(reason: string): void {
    const { clock, log, random } = this.#dependencies;
    this.#feed?.capture?.closePipes();
    const backoff = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(this.#attempt, 10));
    const nextAttemptInMs = Math.round(backoff * (0.75 + 0.5 * random()));
    this.#attempt += 1;
    this.#become({ status: 'retrying', attempt: this.#attempt, nextAttemptInMs, reason });
    log.warn({ reason, attempt: this.#attempt, nextAttemptInMs }, 'camera gave no frames, trying again');
    this.#cancelRetry = clock.after(nextAttemptInMs, () => void this.#connect());
  }
}
