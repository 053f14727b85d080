import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import type { ContentRectangle } from '@vigie/models/runtime/frame';
import type { Detector, InferenceResult } from '../ports.js';
import { AnswerReader } from './answer-reader.js';
import {
  ANSWER,
  CHILD_FD,
  decodeResult,
  encodeLoad,
  FRAME_HEADER_BYTES,
  type LoadRequest,
  type ReadyAnswer,
  type RefusedAnswer,
  writeFrameHeader,
} from './child-protocol.js';

export interface ChildTimeouts {
  /** A child that does not answer a frame by then is killed, ms. */
  frameTimeoutMs: number;
  /** A child that has not loaded its model by then is killed, ms. */
  loadTimeoutMs: number;
}

/**
 * A child that could not be started. `code`: a PackageErrorCode of the package, or MODEL_LOAD_FAILED (anything else that
 * loading threw), LOAD_TIMEOUT, CHILD_DIED.
 */
export class DetectorStartError extends Error {
  override readonly name = 'DetectorStartError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the child's work beside the live one is told to; see ChildPacer. */
export interface Pace {
  /** It has something to do. */
  begin(): void;
  /** It waits for more. */
  rest(): void;
  /** It is gone, or no longer to be paced. */
  end(): void;
}

const UNPACED: Pace = { begin() {}, rest() {}, end() {} };
const CLOSE_TIMEOUT_MS = 2000;

interface Call {
  resolve(result: InferenceResult): void;
  reject(error: Error): void;
}

/** One inference child: a spare until `load`, then a detector. */
export class ChildDetector implements Detector {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #options: ChildTimeouts;
  readonly #promote: (pid: number) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  readonly #reader = new AnswerReader();
  readonly #crashListeners: ((reason: string) => void)[] = [];
  readonly #exited: Promise<void>;
  #pace: Pace;
  #ready: ReadyAnswer | null = null;
  #call: Call | null = null;
  #idle: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sequence = 0;
  #closing = false;
  #ended: { code: string; reason: string } | null = null;

  /** `pace`: slows the child down from now until it is promoted or tested; none: it runs freely. */
  constructor(child: ChildProcess, options: ChildTimeouts, promote: (pid: number) => void, pace: Pace = UNPACED) {
    this.#child = child;
    this.#options = options;
    this.#promote = promote;
    this.#pace = pace;
    this.#socket = child.stdio[CHILD_FD] as Duplex;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#end('CHILD_DIED', signal ?? `exit ${code}`);
        resolve();
      });
      child.once('error', (error) => {
        this.#end('CHILD_DIED', error.message);
        resolve();
      });
    });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The exit of the child says what a broken pipe cannot.
    this.#socket.on('error', () => {});
    pace.begin();
  }

  /** Whether it can still be given something to do. */
  get alive(): boolean {
    return this.#ended === null && !this.#closing;
  }

  /** Settles when the process has ended. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Gives a child its model, once. Resolves when that is loaded and has run once. Rejects with DetectorStartError. */
  load(request: LoadRequest): Promise<void> {
    const { loadTimeoutMs } = this.#options;
    const ended = this.#ended;
    if (ended !== null) return Promise.reject(new DetectorStartError(ended.code, ended.reason));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#kill('LOAD_TIMEOUT', `no model after ${loadTimeoutMs} ms`), loadTimeoutMs);
      this.#call = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#pace.begin();
      this.#socket.write(encodeLoad(request));
    });
  }

  get digest(): string {
    return this.#info.digest;
  }
  get name(): string {
    return this.#info.name;
  }
  get version(): string {
    return this.#info.version;
  }
  get precision(): string {
    return this.#info.precision;
  }
  get labels(): readonly string[] {
    return this.#info.labels;
  }
  get runtime(): string {
    return this.#info.runtime;
  }
  get threshold(): number {
    return this.#info.threshold;
  }
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get #info(): ReadyAnswer {
    if (this.#ready === null) throw new Error('the inference child is not ready');
    return this.#ready;
  }

  detect(planes: Uint8Array, width: number, height: number, content?: ContentRectangle): Promise<InferenceResult> {
    if (this.#ended !== null || this.#closing)
      return Promise.reject(new Error(`detector is gone: ${this.#ended?.reason ?? 'closed'}`));
    if (this.#call !== null) return Promise.reject(new Error('one detection at a time'));
    this.#sequence += 1;
    writeFrameHeader(this.#header, this.#sequence, width, height, content);
    return new Promise((resolve, reject) => {
      this.#call = { resolve, reject };
      this.#armTimer();
      this.#pace.begin();
      // One gathered write; the kernel copies, nothing here does.
      this.#socket.cork();
      this.#socket.write(this.#header);
      this.#socket.write(planes);
      this.#socket.uncork();
    });
  }

  promote(): void {
    this.tested();
    if (this.#ended === null) this.#promote(this.pid);
  }

  tested(): void {
    this.#pace.end();
    this.#pace = UNPACED;
  }

  kill(reason: string): void {
    this.#kill('CHILD_DIED', reason);
  }

  onCrash(listener: (reason: string) => void): void {
    const ended = this.#ended;
    if (ended === null) this.#crashListeners.push(listener);
    // Who turns to a child that died a moment ago must hear of it, or would wait for its frames.
    else if (!this.#closing) queueMicrotask(() => listener(ended.reason));
  }

  async close(): Promise<void> {
    this.#closing = true;
    // A stopped process would not see the end of its socket.
    this.tested();
    if (this.#call !== null && this.#ended === null) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#socket.end();
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(killer);
    this.#stopTimer();
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk, (kind, body) => this.#answer(kind, body));
    } catch (error) {
      this.#kill('CHILD_DIED', `malformed answer: ${(error as Error).message}`);
    }
  }

  #answer(kind: number, body: Buffer): void {
    if (kind === ANSWER.refused) {
      const { code, message } = JSON.parse(body.toString('utf8')) as RefusedAnswer;
      this.#kill(this.#ready === null ? code : 'CHILD_DIED', message);
      return;
    }
    this.#pace.rest();
    if (kind === ANSWER.warm) return;
    const call = this.#call;
    if (call === null) throw new RangeError('answer without a question');
    if (kind === ANSWER.ready) this.#ready = JSON.parse(body.toString('utf8')) as ReadyAnswer;
    const result = kind === ANSWER.result ? decodeResult(body, this.labels) : EMPTY;
    this.#settle();
    call.resolve(result);
  }

  /** Ends a child that answers wrongly or not at all. Takes effect at once, not when the process is gone. */
  #kill(code: string, reason: string): void {
    this.#child.kill('SIGKILL');
    this.#end(code, reason);
  }

  #end(code: string, reason: string): void {
    if (this.#ended !== null) return;
    this.#ended = { code, reason };
    this.tested();
    const call = this.#call;
    this.#settle();
    this.#stopTimer();
    call?.reject(new DetectorStartError(code, reason));
    if (this.#closing || this.#ready === null) return;
    for (const listener of this.#crashListeners) listener(reason);
  }

  #settle(): void {
    this.#call = null;
    this.#idle?.();
    this.#idle = null;
  }

  /** One timer for all frames: moved on by each, and asking when it fires whether anything is overdue. */
  #armTimer(): void {
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => {
      if (this.#call !== null) this.#kill('CHILD_DIED', `no answer within ${this.#options.frameTimeoutMs} ms`);
    }, this.#options.frameTimeoutMs).unref();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

const EMPTY: InferenceResult = { detections: [], stagesMs: { preprocess: 0, inference: 0, decode: 0 } };
