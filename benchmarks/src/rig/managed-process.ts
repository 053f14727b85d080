import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { ProcessStat } from '../measure/proc-stat.js';
import { readTree, stillRuns } from '../measure/process-tree.js';
import { pause, waitFor } from './wait.js';

export interface ProcessSpec {
  /** Short name for messages and the log file, e.g. `server`, `board`. */
  name: string;
  command: string;
  args: readonly string[];
  logPath: string;
  environment?: Record<string, string>;
}

/** A process of the rig ended although nobody asked it to. */
export class ProcessDiedError extends Error {
  override readonly name = 'ProcessDiedError';
  constructor(
    readonly processName: string,
    how: string,
  ) {
    super(`the ${processName} ended (${how})`);
  }
}

/**
 * One program under test in a process group of its own, its output in a file. `stop` ends the whole tree: first
 * politely, then by force, also members that left the group.
 */
export class ManagedProcess {
  readonly name: string;
  readonly logPath: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #how: string | null = null;
  #stopping = false;

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.logPath = spec.logPath;
    const log = openSync(spec.logPath, 'a', 0o600);
    this.#child = spawn(spec.command, spec.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: cleanEnvironment(spec.environment),
    });
    closeSync(log);
    this.pid = this.#child.pid ?? 0;
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#how = error.message;
        resolve();
      });
      this.#child.once('exit', (code, signal) => {
        this.#how ??= signal ?? `exit code ${code}`;
        resolve();
      });
    });
  }

  get running(): boolean {
    return this.#how === null;
  }

  /** Throws ProcessDiedError when the process has ended unasked: the guard of every waiting. */
  assertRunning(): void {
    if (this.#how !== null && !this.#stopping) throw new ProcessDiedError(this.name, this.#how);
  }

  /** The last lines of the log. */
  logTail(lines = 15): string[] {
    try {
      return readFileSync(this.logPath, 'utf8').trimEnd().split('\n').slice(-lines);
    } catch {
      return [];
    }
  }

  /** Ends the tree: SIGTERM, up to `graceMs` for the root to end, then SIGKILL to whatever is left. */
  async stop(graceMs = 5000): Promise<void> {
    this.#stopping = true;
    if (this.pid === 0) return;
    const members = readTree(this.pid);
    if (this.running) {
      this.#signalGroup('SIGTERM');
      await Promise.race([this.#exited, pause(graceMs)]);
    }
    this.#signalGroup('SIGKILL');
    for (const member of members) killIfSame(member);
    await this.#exited;
    await waitFor(`the ${this.name} to end`, () => !members.some(stillRuns), { timeoutMs: 10_000 });
  }

  /** The same at once and without waiting: for the exit of this process itself. */
  kill(): void {
    this.#stopping = true;
    if (this.pid === 0) return;
    const members = readTree(this.pid);
    this.#signalGroup('SIGKILL');
    for (const member of members) killIfSame(member);
  }

  #signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is empty: all have ended.
    }
  }
}

/** Without `VIGIE_…`: settings of whoever runs the benchmark must not reach the board under test. */
function cleanEnvironment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VIGIE_'))), ...more };
}

/** A process id may have been given away again meanwhile: the moment of its start tells. */
function killIfSame(member: ProcessStat): void {
  if (!stillRuns(member)) return;
  try {
    process.kill(member.pid, 'SIGKILL');
  } catch {
    // Ended just now.
  }
}
