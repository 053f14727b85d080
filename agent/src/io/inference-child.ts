import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OpenPackage } from '@vigie/models/package/package';
import type { Detector, DetectorFactory } from '../ports.js';
import { ChildDetector, type ChildTimeouts, type Pace } from './child-detector.js';
import type { ChildPacer } from './child-pacer.js';
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
  /** Slows children down that work beside the live one; none: they run freely, at low priority. */
  pacer?: ChildPacer | null;
  /** Whether there is memory for a child that only waits. */
  mayKeepSpare?: () => boolean;
}

/**
 * A child makes so little garbage of its own that V8 collects seldom, and the tensors hanging on it pile up outside the heap: an
 * INT8 child swung between 150 and 480 MB, with a nursery of 1 MiB it stays at 115 MB.
 */
const CHILD_NODE_OPTIONS = ['--max-semi-space-size=1'];
/** A spare that died by itself is not replaced before, ms. */
const SPARE_RETRY_MS = 60_000;

/**
 * Starts one process of ONNX Runtime per loaded model. With `keepSpare` one more waits without a model: the start of
 * Node and of ONNX Runtime, most of what a swap costs, is then over before a swap begins.
 */
export class InferenceChildFactory implements DetectorFactory {
  readonly #options: InferenceChildOptions;
  readonly #pids = new Set<number>();
  readonly #mayLower = canRaisePriority();
  #spare: ChildDetector | null = null;
  #wantsSpare = false;
  #spareDiedAt = Number.NEGATIVE_INFINITY;

  constructor(options: InferenceChildOptions) {
    this.#options = options;
  }

  /** Process ids of all children that live, a spare too. */
  get pids(): ReadonlySet<number> {
    return this.#pids;
  }

  /** Starts a child, or takes the spare, and waits until its model is loaded and has run once. Rejects with DetectorStartError. */
  async spawn(directory: string, priority: 'live' | 'background', open?: OpenPackage): Promise<Detector> {
    const detector = this.#takeSpare(open) ?? this.#start(priority, []);
    if (priority === 'live') detector.promote();
    await detector.load({ directory, open: open ?? null });
    return detector;
  }

  /** From now on a spare is kept while no more than one model is loaded, so it never adds to the memory a swap needs. */
  keepSpare(): void {
    this.#wantsSpare = true;
    this.#replaceSpare();
  }

  /** Ends the spare. The others are ended by who asked for them. */
  async close(): Promise<void> {
    this.#wantsSpare = false;
    const spare = this.#spare;
    this.#spare = null;
    await spare?.close();
    this.#options.pacer?.close();
  }

  /** The spare has ONNX Runtime in it, of no use to a model of another engine: then it makes room. */
  #takeSpare(open?: OpenPackage): ChildDetector | null {
    const spare = this.#spare;
    this.#spare = null;
    if (spare === null || !spare.alive) return null;
    if ((open?.manifest.model.engine ?? 'onnx') === 'onnx') return spare;
    void spare.close();
    return null;
  }

  #replaceSpare(): void {
    const { mayKeepSpare = () => true, log } = this.#options;
    const soon = performance.now() - this.#spareDiedAt < SPARE_RETRY_MS;
    if (!this.#wantsSpare || this.#spare !== null || this.#pids.size > 1 || soon || !mayKeepSpare()) return;
    const spare = this.#start('background', ['--warm']);
    this.#spare = spare;
    void spare.exited.then(() => {
      if (this.#spare !== spare) return;
      this.#spare = null;
      this.#spareDiedAt = performance.now();
      log.warn({}, 'the spare inference child died; the next swap starts one, and another spare follows it');
    });
  }

  #start(priority: 'live' | 'background', more: readonly string[]): ChildDetector {
    const { entry, execArgv = [], threads, floorRatio, threshold, pacer = null, log } = this.#options;
    const program = entry ?? fileURLToPath(new URL('./inference-main.js', import.meta.url));
    const node = [process.execPath, ...CHILD_NODE_OPTIONS, ...execArgv, program, ...more];
    node.push('--threads', `${threads}`, '--floor-ratio', `${floorRatio}`, '--threshold', `${threshold ?? 1}`);
    const paced = pacer !== null && priority === 'background';
    const [command, ...args] = paced ? [...pacer.launcher, ...node] : node;
    // Nothing of the agent's environment reaches the child, so no secret does.
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { NODE_ENV: 'production' },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) =>
        log.warn({ pid: child.pid }, `inference child: ${chunk.toString('utf8').trim().slice(0, 2000)}`),
      );
    }
    this.#follow(child, priority);
    const { pid } = child;
    return new ChildDetector(
      child,
      this.#options,
      (pid) => this.#mayLower && this.#prioritise(pid, 0),
      paced && pid !== undefined ? paceOf(pacer, pid) : undefined,
    );
  }

  #follow(child: ChildProcess, priority: 'live' | 'background'): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#pids.add(pid);
    child.once('exit', () => {
      this.#pids.delete(pid);
      this.#replaceSpare();
    });
    if (priority === 'background' && this.#mayLower) this.#prioritise(pid, BACKGROUND_NICE);
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

function paceOf(pacer: ChildPacer, pid: number): Pace {
  return { begin: () => pacer.begin(pid), rest: () => pacer.rest(pid), end: () => pacer.end(pid) };
}
