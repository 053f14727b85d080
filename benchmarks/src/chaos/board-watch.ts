import { type FSWatcher, watch } from 'node:fs';
import type { BoardClient } from '../clients/board-client.js';
import { pause } from '../rig/wait.js';
import { type BoardDisk, readBoardDisk } from './disk-check.js';
import type { Aim } from './plan.js';

/** How often a board is asked for its model, ms. */
const LOOK_EVERY_MS = 120;

/**
 * Watches one board from outside: its journal through the file system, its model through HTTP. A listener of a moment is called
 * in the very turn in which the file system tells of it, so that a kill can still strike a phase of a few milliseconds.
 */
export class BoardWatch {
  /** The newest journal that could be read. */
  disk: BoardDisk | undefined;
  /** Digest that the board said last; null: it did not answer or has no model. */
  digest: string | null = null;
  /** Digests that are none of the releases', each once. */
  readonly strangers = new Set<string>();
  #previous: { digest: string; framesRun: number } | null = null;
  /** Counts calls of `forget`. */
  #epoch = 0;
  #grownAt = 0;
  #firstDigest: string | null = null;
  #stopped = false;
  readonly #files: FSWatcher;
  readonly #looking: Promise<void>;
  readonly #moments = new Set<(moment: string) => void>();

  constructor(
    private readonly dataDirectory: string,
    private readonly client: BoardClient,
    private readonly verified: ReadonlySet<string>,
  ) {
    this.#files = watch(dataDirectory, (_event, name) => this.#changed(name));
    this.#looking = this.#look();
  }

  /** Phase of the newest install by its journal. */
  get phase(): string {
    return this.disk?.phase ?? 'IDLE';
  }

  /** First digest that was seen since `forget`. */
  get firstDigest(): string | null {
    return this.#firstDigest;
  }

  /** What was seen before a kill is no proof of life after it. Call right after the kill. */
  forget(): void {
    this.#epoch += 1;
    this.#previous = null;
    this.#firstDigest = null;
    this.digest = null;
  }

  /** Time from `sinceMs` (performance.now) until frames ran on a verified model after it, ms; null: not within `boundMs`. */
  async awaitRunning(sinceMs: number, boundMs: number, guard?: () => void): Promise<number | null> {
    while (this.#grownAt <= sinceMs) {
      if (performance.now() - sinceMs > boundMs || this.#stopped) return null;
      guard?.();
      await pause(20);
    }
    return this.#grownAt - sinceMs;
  }

  /**
   * Calls back once when the moment has come, synchronously from the watcher. Returns a function that gives it up.
   * `start` and `time` are no moments of the journal: they never come.
   */
  onMoment(aim: Aim, listener: () => void): () => void {
    const wanted = aim.kind === 'phase' ? `phase ${aim.phase}` : aim.kind;
    const once = (moment: string): void => {
      if (moment !== wanted) return;
      this.#moments.delete(once);
      listener();
    };
    this.#moments.add(once);
    return () => this.#moments.delete(once);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#files.close();
    await this.#looking;
  }

  #changed(name: string | null): void {
    if (name === 'state.json.new') this.#tell('journal-write');
    if (name !== 'state.json') return;
    let disk: BoardDisk | undefined;
    try {
      disk = readBoardDisk(this.dataDirectory);
    } catch {
      // The check after the next kill reads it again, and says so if it is broken.
      return;
    }
    const before = this.disk;
    this.disk = disk;
    if (disk === undefined || (before?.phase === disk.phase && before.generation === disk.generation)) return;
    this.#tell(`phase ${disk.phase}`);
  }

  #tell(moment: string): void {
    for (const listener of [...this.#moments]) listener(moment);
  }

  async #look(): Promise<void> {
    while (!this.#stopped) {
      const epoch = this.#epoch;
      const model = await this.client.model(2000);
      // An answer that was asked for before a kill must not count after it.
      if (this.#epoch === epoch) this.#take(model);
      await pause(LOOK_EVERY_MS);
    }
  }

  #take(model: { digest: string; framesRun: number } | undefined): void {
    this.digest = model?.digest ?? null;
    if (model === undefined) return;
    this.#firstDigest ??= model.digest;
    if (!this.verified.has(model.digest)) {
      this.strangers.add(model.digest);
      return;
    }
    const before = this.#previous;
    if (before !== null && (before.digest === model.digest ? model.framesRun > before.framesRun : model.framesRun > 0))
      this.#grownAt = performance.now();
    this.#previous = { digest: model.digest, framesRun: model.framesRun };
  }
}
