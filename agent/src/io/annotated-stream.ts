import type { ServerResponse } from 'node:http';
import { type Annotation, drawAnnotation, drawNoSignal } from '../vision/overlay.js';
import type { Raster } from '../vision/raster.js';
import { yuv420pToRgb } from '../vision/yuv.js';
import { encodeJpeg } from './jpeg-encoder.js';
import { MjpegViewers, type PartInfo } from './mjpeg-viewers.js';

export interface AnnotatedStreamOptions {
  /** JPEG quality, 1..100. */
  quality: number;
  /** RGB buffers: one is being encoded while the next frame is drawn into another. */
  maxBuffers: 2;
}

export type StreamErrorCode = 'NO_FRAME' | 'NO_SIGNAL' | 'ENCODER_FAILED' | 'CLOSED';

export class StreamError extends Error {
  constructor(
    readonly code: StreamErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'StreamError';
  }
}

/** How long a snapshot waits for a frame, ms. */
const SNAPSHOT_PATIENCE_MS = 3000;
const NO_SIGNAL_EVERY_MS = 1000;
const FIRST_SIZE = { width: 640, height: 360 };

interface Job {
  raster: Raster;
  info: PartInfo;
}

interface SnapshotWaiter {
  resolve(jpeg: Buffer): void;
  reject(error: StreamError): void;
  timer: NodeJS.Timeout;
}

/**
 * Frames with their boxes, encoded once for all viewers and only while somebody looks. `offer` converts and draws at once
 * into a buffer of its own, so the camera gets its frame back when it returns; encoding runs one picture at a time in
 * sharp's thread, so pictures leave in the order in which they came.
 */
export class AnnotatedStream {
  private readonly viewers = new MjpegViewers();
  private readonly free: Raster[] = [];
  private readonly queue: Job[] = [];
  private readonly waiters = new Set<SnapshotWaiter>();
  private encoding = false;
  private closed = false;
  private size = FIRST_SIZE;
  private signal: { text: string; timer: NodeJS.Timeout } | null = null;
  private busySkips = 0;
  private encodedCount = 0;
  private failedCount = 0;

  constructor(private readonly options: AnnotatedStreamOptions) {
    for (let index = 0; index < options.maxBuffers; index++) {
      this.free.push({ data: new Uint8Array(0), width: 0, height: 0 });
    }
  }

  /** True while a frame would be of use: any viewer, or a snapshot asked for. */
  get wanted(): boolean {
    return this.viewers.count > 0 || this.waiters.size > 0;
  }

  get viewerCount(): number {
    return this.viewers.count;
  }

  /** Pictures encoded; frames not drawn because both buffers were busy; pictures a slow viewer did not get; failures. */
  get counters(): { encoded: number; busySkips: number; viewerSkips: number; failed: number } {
    return {
      encoded: this.encodedCount,
      busySkips: this.busySkips,
      viewerSkips: this.viewers.skipped,
      failed: this.failedCount,
    };
  }

  /**
   * Converts and draws a frame synchronously; `view` may be released on return.
   * @param view yuv420p, 1.5 × width × height bytes.
   * @returns false when nobody looks or both buffers are busy (counted).
   */
  offer(view: Uint8Array, width: number, height: number, annotation: Annotation): boolean {
    this.endNoSignal();
    this.size = { width, height };
    if (this.closed || !this.wanted) return false;
    const raster = this.take(width, height);
    if (raster === null) {
      this.busySkips++;
      return false;
    }
    yuv420pToRgb(view, width, height, raster.data);
    drawAnnotation(raster, annotation);
    this.enqueue({
      raster,
      info: { sequence: annotation.sequence, capturedAtMs: annotation.capturedAtMs, digest: annotation.digest },
    });
    return true;
  }

  /** Takes over a response as an MJPEG viewer. */
  addViewer(res: ServerResponse): void {
    if (this.closed) {
      res.writeHead(503).end();
      return;
    }
    this.viewers.add(res);
    if (this.signal !== null) this.drawSignal(this.signal.text);
  }

  /**
   * The camera is lost: viewers see why, now and once a second, until the next `offer`. May be called again with another
   * text. These parts carry no sequence number.
   */
  noSignal(text: string): void {
    if (this.closed) return;
    if (this.signal !== null) {
      this.signal.text = text;
      return;
    }
    const timer = setInterval(() => {
      if (this.signal !== null) this.drawSignal(this.signal.text);
    }, NO_SIGNAL_EVERY_MS);
    timer.unref();
    this.signal = { text, timer };
    for (const waiter of [...this.waiters]) this.settle(waiter, new StreamError('NO_SIGNAL', text));
    this.drawSignal(text);
  }

  /** The next frame as an annotated JPEG. Rejects with StreamError: no frame in 3 s, no signal, or closed. */
  snapshot(): Promise<Buffer> {
    if (this.closed) return Promise.reject(new StreamError('CLOSED', 'the stream is closed'));
    if (this.signal !== null) return Promise.reject(new StreamError('NO_SIGNAL', this.signal.text));
    return new Promise((resolve, reject) => {
      const waiter: SnapshotWaiter = {
        resolve,
        reject,
        timer: setTimeout(() => {
          this.settle(waiter, new StreamError('NO_FRAME', `no camera frame within ${SNAPSHOT_PATIENCE_MS} ms`));
        }, SNAPSHOT_PATIENCE_MS),
      };
      this.waiters.add(waiter);
    });
  }

  /** Ends all viewers and pending snapshots. */
  close(): void {
    this.closed = true;
    this.endNoSignal();
    this.queue.length = 0;
    for (const waiter of [...this.waiters]) this.settle(waiter, new StreamError('CLOSED', 'the stream is closed'));
    this.viewers.close();
  }

  private take(width: number, height: number): Raster | null {
    const raster = this.free.pop();
    if (raster === undefined) return null;
    const bytes = 3 * width * height;
    if (raster.data.length !== bytes) raster.data = new Uint8Array(bytes);
    raster.width = width;
    raster.height = height;
    return raster;
  }

  private drawSignal(text: string): void {
    if (this.viewers.count === 0) return;
    const raster = this.take(this.size.width, this.size.height);
    if (raster === null) return;
    const nowMs = Date.now();
    drawNoSignal(raster, text, new Date(nowMs).toISOString());
    this.enqueue({ raster, info: { capturedAtMs: nowMs, digest: null } });
  }

  private enqueue(job: Job): void {
    this.queue.push(job);
    if (!this.encoding) void this.encodeAll();
  }

  private async encodeAll(): Promise<void> {
    this.encoding = true;
    for (let job = this.queue.shift(); job !== undefined; job = this.queue.shift()) {
      const { raster, info } = job;
      try {
        const jpeg = await encodeJpeg(raster.data, raster.width, raster.height, this.options.quality);
        this.encodedCount++;
        if (!this.closed) this.deliver(jpeg, info);
      } catch (error) {
        this.failedCount++;
        const fault = new StreamError('ENCODER_FAILED', (error as Error).message);
        for (const waiter of [...this.waiters]) this.settle(waiter, fault);
      }
      this.free.push(raster);
    }
    this.encoding = false;
  }

  private deliver(jpeg: Buffer, info: PartInfo): void {
    this.viewers.send(jpeg, info);
    if (info.sequence === undefined) return;
    for (const waiter of [...this.waiters]) this.settle(waiter, jpeg);
  }

  private settle(waiter: SnapshotWaiter, outcome: Buffer | StreamError): void {
    clearTimeout(waiter.timer);
    this.waiters.delete(waiter);
    if (outcome instanceof StreamError) waiter.reject(outcome);
    else waiter.resolve(outcome);
  }

  private endNoSignal(): void {
    if (this.signal === null) return;
    clearInterval(this.signal.timer);
    this.signal = null;
  }
}
