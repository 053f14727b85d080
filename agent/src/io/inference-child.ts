import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Detector, DetectorFactory } from '../ports.js';
import { ChildDetector, type ChildTimeouts } from './child-detector.js';
import { BACKGROUND_NICE, canRaisePriority, setProcessPriority } from './process-priority.js';

export interface InferenceChildOptions extends ChildTimeouts {
  /** Threads inside one operator. */
  threads: number;
  /** Detections are wanted down to this share of the threshold: the tracker lives on weak ones too. */
  floorRatio: number;
  /** Score from which a detection counts fully, 0..1; the package's default threshold when absent or higher than that. */
  threshold?: number;
  log: { debug(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** The child's program; the one beside this file by default. */
  entry?: string;
  /** Options of Node for the child, e.g. `--cpu-prof`. */
  execArgv?: string[];
}

/**
 * A child makes so little garbage of its own that V8 collects seldom, and the tensors hanging on it pile up outside the heap: an
 * INT8 child swung between 150 and 480 MB, with a nursery of 1 MiB it stays at 115 MB.
 */
const CHILD_NODE_OPTIONS = ['--max-semi-space-size=1'];

/** Starts one process of ONNX Runtime per loaded model. */
export class InferenceChildFactory implements DetectorFactory {
  readonly #options: InferenceChildOptions;
  readonly #pids = new Set<number>();
  readonly #mayLower = canRaisePriority();

  constructor(options: InferenceChildOptions) {
    this.#options = options;
  }

  /** Process ids of all children that live. */
  get pids(): ReadonlySet<number> {
    return this.#pids;
  }

  /** Starts a child and waits until its model is loaded and has run once. Rejects with DetectorStartError. */
  spawn(directory: string, priority: 'live' | 'background'): Promise<Detector> {
    const { entry, threads, floorRatio, threshold, log } = this.#options;
    const program = entry ?? fileURLToPath(new URL('./inference-main.js', import.meta.url));
    const child = spawn(
      process.execPath,
      [
        ...CHILD_NODE_OPTIONS,
        ...(this.#options.execArgv ?? []),
        program,
        '--package',
        directory,
        '--threads',
        `${threads}`,
        '--floor-ratio',
        `${floorRatio}`,
        '--threshold',
        `${threshold ?? 1}`,
      ],
      // Nothing of the agent's environment reaches the child, so no secret does.
      { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], env: { NODE_ENV: 'production' } },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) =>
        log.warn({ pid: child.pid }, `inference child: ${chunk.toString('utf8').trim().slice(0, 2000)}`),
      );
    }
    const { pid } = child;
    if (pid !== undefined) {
      this.#pids.add(pid);
      child.once('exit', () => this.#pids.delete(pid));
      if (priority === 'background' && this.#mayLower) this.#prioritise(pid, BACKGROUND_NICE);
    }
    return new Promise((resolve, reject) => {
      const detector = new ChildDetector(child, this.#options, (pid) => this.#mayLower && this.#prioritise(pid, 0));
      detector.started.then(() => resolve(detector), reject);
    });
  }

  #prioritise(pid: number, nice: number): void {
    try {
      setProcessPriority(pid, nice);
    } catch (error) {
      this.#options.log.warn(
        { pid, nice, error: (error as Error).message },
        'priority of an inference child not changed',
      );
    }
  }
}
