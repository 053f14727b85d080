import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessStat } from '../measure/proc-stat.js';
import { readTree, stillRuns } from '../measure/process-tree.js';
import { emptyTally, type Tally } from './tally.js';

/** What a run needs to go on after it was cut: `<data>/chaos.json`, written whole after every kill. */
export interface ChaosState {
  schema: 1;
  seed: number;
  boards: number;
  /** Server API, broker, then one per board. */
  ports: number[];
  adminToken: string;
  /** Strikes done per lane: the server's, then the boards'. */
  done: number[];
  tally: Tally;
  /** Time of all invocations so far, ms. */
  elapsedMs: number;
  /** How often the run was started or gone on with. */
  invocations: number;
}

const FILE = 'chaos.json';
/** Keys of events, one JSON line each; appended to, so that the state file stays small. */
const LEDGERS = {
  journaled: 'journaled.jsonl',
  acknowledged: 'acknowledged.jsonl',
  published: 'published.jsonl',
} as const;
export type LedgerName = keyof typeof LEDGERS;

/** The folder of one run. */
export class ChaosFolder {
  readonly #ledgers = new Map<LedgerName, Map<string, string>>();

  constructor(readonly directory: string) {}

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** The state of an earlier invocation; undefined when there is none. Throws on a folder that holds something else. */
  load(): ChaosState | undefined {
    if (!existsSync(this.path(FILE))) return undefined;
    return JSON.parse(readFileSync(this.path(FILE), 'utf8')) as ChaosState;
  }

  /** Begins anew. A folder that no chaos run made is refused, not emptied. */
  create(seed: number, boards: number, ports: number[]): ChaosState {
    if (existsSync(this.directory) && !existsSync(this.path(FILE)))
      throw new Error(`${this.directory} is there and was not made by a chaos run; name another with --data`);
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const state: ChaosState = {
      schema: 1,
      ...{ seed, boards, ports, adminToken: '' },
      done: Array.from({ length: boards + 1 }, () => 0),
      tally: emptyTally(),
      elapsedMs: 0,
      invocations: 0,
    };
    this.save(state);
    return state;
  }

  save(state: ChaosState): void {
    writeFileSync(this.path(`${FILE}.new`), JSON.stringify(state), { mode: 0o600 });
    renameSync(this.path(`${FILE}.new`), this.path(FILE));
  }

  /** Adds a key of one board to a ledger; what is there already is nothing. */
  note(name: LedgerName, board: string, key: string, body: string): void {
    const ledger = this.ledger(name);
    const whole = `${board}/${key}`;
    if (ledger.has(whole)) return;
    ledger.set(whole, body);
    appendFileSync(this.path(LEDGERS[name]), `${JSON.stringify([whole, body])}\n`, { mode: 0o600 });
  }

  /** `board/bootId:sequence` → what the message said. */
  ledger(name: LedgerName): Map<string, string> {
    let ledger = this.#ledgers.get(name);
    if (ledger === undefined) {
      ledger = new Map();
      this.#ledgers.set(name, ledger);
      const path = this.path(LEDGERS[name]);
      if (existsSync(path)) {
        for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
          const [key, body] = JSON.parse(line) as [string, string];
          ledger.set(key, body);
        }
      }
    }
    return ledger;
  }

  /** Remembers the processes of this run, so that the next invocation can end what a killed one left behind. */
  notePids(pids: readonly number[]): void {
    const roots = pids.flatMap((pid) => readTree(pid).slice(0, 1));
    writeFileSync(this.path('pids.json'), JSON.stringify(roots.map(({ pid, startTicks }) => ({ pid, startTicks }))));
  }

  /** Ends the trees that an invocation which was itself killed left running. */
  endStrays(): void {
    if (!existsSync(this.path('pids.json'))) return;
    const roots = JSON.parse(readFileSync(this.path('pids.json'), 'utf8')) as ProcessStat[];
    for (const root of roots.filter(stillRuns)) {
      for (const member of readTree(root.pid).toReversed()) {
        if (!stillRuns(member)) continue;
        try {
          process.kill(member.pid, 'SIGKILL');
        } catch {
          // Ended just now.
        }
      }
    }
    rmSync(this.path('pids.json'), { force: true });
  }
}
