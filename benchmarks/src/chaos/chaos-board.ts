import { BoardClient } from '../clients/board-client.js';
import { type Board, launchBoard } from '../rig/board.js';
import { Rig } from '../rig/rig.js';
import { pause } from '../rig/wait.js';
import { BoardWatch } from './board-watch.js';
import { awaitEnd, killHard, membersOfGroup } from './processes.js';

/** By then the children of a dead agent have ended by themselves, ms. */
const ORPHAN_MS = 15_000;

export interface ChaosBoardOptions {
  deviceId: string;
  /** Folder of the run: logs go below it. */
  root: string;
  dataDirectory: string;
  httpPort: number;
  clip: string;
  /** Package that comes with the agent. */
  modelDirectory: string;
  verified: ReadonlySet<string>;
}

/** One real agent with its children: the same folder and port, a new process after each kill, as systemd would start it. */
export class ChaosBoard {
  readonly client: BoardClient;
  readonly watch: BoardWatch;
  #rig: Rig | null = null;
  #board: Board | null = null;
  #killed = false;

  constructor(readonly options: ChaosBoardOptions) {
    this.client = new BoardClient(`http://127.0.0.1:${options.httpPort}`);
    this.watch = new BoardWatch(options.dataDirectory, this.client, options.verified);
  }

  get id(): string {
    return this.options.deviceId;
  }

  get pid(): number {
    return this.#board?.process.pid ?? 0;
  }

  /** True when the agent ended although nobody killed it. */
  get diedUnasked(): boolean {
    return this.#board !== null && !this.#killed && !this.#board.process.running;
  }

  /** How and with which last words the process ended. */
  get lastWords(): string {
    return this.#board?.process.logTail(8).join(' | ') ?? '';
  }

  /** Starts the agent; resolves when its process runs. What it then does is watched from outside. */
  start(): void {
    const { deviceId, root, dataDirectory, httpPort, clip, modelDirectory } = this.options;
    const rig = new Rig(root);
    this.#rig = rig;
    this.#killed = false;
    this.#board = launchBoard(rig, {
      name: deviceId,
      directory: dataDirectory,
      httpPort,
      source: { url: clip, pacing: 'realtime', loop: true },
      modelDirectory,
    });
  }

  /** SIGKILL to the agent alone. Resolves when it is gone, with what it left running (its children must end by themselves). */
  async kill(): Promise<{ orphans: Promise<number> }> {
    // First of all: the phase that was aimed at may be over in a millisecond.
    killHard(this.pid);
    this.#killed = true;
    this.watch.forget();
    const rig = this.#rig;
    const family = membersOfGroup(this.pid);
    while (this.#board?.process.running === true) await pause(2);
    const orphans = awaitEnd(family, ORPHAN_MS).then(async (left) => {
      await rig?.close();
      return left.length;
    });
    return { orphans };
  }

  async stop(): Promise<void> {
    this.#killed = true;
    await this.watch.stop();
    await this.#rig?.close();
  }
}
