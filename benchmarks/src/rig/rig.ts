import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ManagedProcess, type ProcessSpec } from './managed-process.js';

/**
 * A folder and the processes that live in it. Everything is ended and a temporary folder removed by `close`, and also
 * when this process exits or is interrupted: no benchmark leaves a board behind.
 */
export class Rig {
  readonly directory: string;
  readonly #temporary: boolean;
  readonly #processes: ManagedProcess[] = [];
  readonly #onExit = (): void => this.#killAll();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    void this.close().finally(() => process.exit(signal === 'SIGINT' ? this.interruptExitCode : 143));
  };
  #closed: Promise<void> | null = null;
  /** Exit code after SIGINT; a program that runs until it is interrupted sets it to 0. */
  interruptExitCode = 130;

  /**
   * Without `directory` a temporary one is made, and removed at the end unless `keep` is set; a named one is kept. With
   * `endOnSignal` false SIGINT and SIGTERM are left to the program, which then has to call `close`.
   */
  constructor(directory?: string, keep = false, endOnSignal = true) {
    this.#temporary = directory === undefined && !keep;
    this.directory = directory === undefined ? mkdtempSync(join(tmpdir(), 'vigie-')) : resolve(directory);
    mkdirSync(join(this.directory, 'logs'), { recursive: true });
    chmodSync(this.directory, 0o700);
    process.once('exit', this.#onExit);
    if (!endOnSignal) return;
    process.once('SIGINT', this.#onSignal);
    process.once('SIGTERM', this.#onSignal);
  }

  /** A path inside the rig's folder. */
  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  start(spec: Omit<ProcessSpec, 'logPath'>): ManagedProcess {
    const started = new ManagedProcess({ ...spec, logPath: this.path('logs', `${spec.name}.log`) });
    this.#processes.push(started);
    return started;
  }

  /** Throws when any process of the rig died unasked. */
  assertRunning(): void {
    for (const member of this.#processes) member.assertRunning();
  }

  /** Last log lines of every process, for the message of a failure. */
  logTails(lines = 15): string {
    return this.#processes
      .map((member) => `--- last lines of ${member.logPath}\n${member.logTail(lines).join('\n')}`)
      .join('\n');
  }

  /** Ends all processes, the newest first, and removes a temporary folder. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const member of this.#processes.toReversed()) await member.stop();
    process.off('exit', this.#onExit);
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    if (this.#temporary) rmSync(this.directory, { recursive: true, force: true });
  }

  #killAll(): void {
    for (const member of this.#processes) member.kill();
    if (this.#temporary) rmSync(this.directory, { recursive: true, force: true });
  }
}
