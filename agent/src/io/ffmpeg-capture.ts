import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Clock } from '../ports.js';
import { MODEL_FD, redactCredentials, VIEW_FD } from './ffmpeg-arguments.js';
import type { FramePipe, readFrames } from './frame-pipe.js';
import type { FramePart, FrameRing } from './frame-ring.js';

const KILL_AFTER_MS = 3000;
const STDERR_BYTES = 2000;

export interface FfmpegCaptureOptions {
  clock: Clock;
  arguments: string[];
  /** Where its two streams go. */
  ring: FrameRing;
  readPipe: typeof readFrames;
  /** Called once: ffmpeg has ended, or could not be started. `cleanly`: exit status 0. */
  onEnd(reason: string, cleanly: boolean): void;
}

/** One run of ffmpeg whose two outputs fill a ring. */
export class FfmpegCapture {
  readonly #clock: Clock;
  readonly #process: ChildProcess;
  readonly #pipes: Record<FramePart, FramePipe>;
  #over = false;

  constructor({ clock, arguments: args, ring, readPipe, onEnd }: FfmpegCaptureOptions) {
    this.#clock = clock;
    const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    this.#process = child;
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString('utf8')).slice(-STDERR_BYTES);
    });
    this.#pipes = {
      model: readPipe(child.stdio[MODEL_FD] as Socket, 'model', ring),
      view: readPipe(child.stdio[VIEW_FD] as Socket, 'view', ring),
    };
    const ended = (reason: string, cleanly: boolean) => {
      if (this.#over) return;
      this.#over = true;
      onEnd(reason, cleanly);
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      ended(error.code === 'ENOENT' ? 'ffmpeg is not installed' : error.message, false);
    });
    child.once('exit', (code, signal) => {
      const line = redactCredentials(errors.trim().split('\n').at(-1) ?? '').slice(0, 300);
      ended(line || `ffmpeg ended (${signal ?? `exit ${code}`})`, code === 0);
    });
  }

  /** ffmpeg's process id while it runs. */
  get pid(): number | null {
    return this.#over ? null : (this.#process.pid ?? null);
  }

  /** The ring has room again for a part that had to wait. */
  wake(part: FramePart): void {
    this.#pipes[part].wake();
  }

  /** Settles when everything that ffmpeg wrote has been read. */
  async drained(): Promise<void> {
    await Promise.all([this.#pipes.model.ended, this.#pipes.view.ended]);
  }

  closePipes(): void {
    this.#pipes.model.close();
    this.#pipes.view.close();
  }

  /** Asks ffmpeg to end, and makes it after a while. Resolves when it has; `onEnd` is called before. */
  terminate(): Promise<void> {
    if (this.#over) return Promise.resolve();
    const gone = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.kill('SIGTERM');
    const cancel = this.#clock.after(KILL_AFTER_MS, () => this.#process.kill('SIGKILL'));
    this.#process.once('exit', cancel);
    return gone;
  }
}
