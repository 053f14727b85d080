import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { parseAnswer, type SandboxLimits, type SandboxOutcome, speaksOfMemory } from './outcome.js';

export interface SandboxedProcessOptions {
  /** A script that calls `serveJobs`. */
  script: string;
  args?: readonly string[];
  limits: SandboxLimits;
  /** Its working folder; files it makes by relative paths land here. */
  cwd: string;
  /** Its folder for temporary files; `cwd` when absent. Emptied by whoever made it. */
  temporary?: string;
}

/** Longest answer, bytes. A child that writes more is ended: the caller's memory is not the child's to fill. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const POLL_MS = 50;
/** Thread stacks and the like count as data and are hardly ever resident. */
const DATA_SLACK_BYTES = 128 * 1024 * 1024;
const MIB = 1024 * 1024;

interface Job {
  settle(outcome: SandboxOutcome<unknown>): void;
  timer: NodeJS.Timeout;
}

/**
 * A Node process for work on foreign bytes, which may crash, hang or eat memory: a time limit per job, a memory limit, an
 * environment without the caller's secrets, no core files, and an end that takes the whole process group. It starts with
 * the first job, stays for the next, and is started anew after a crash.
 *
 * Memory is bounded twice: the kernel refuses data beyond the limit (RLIMIT_DATA by `ulimit -d`, which unlike `ulimit -v` does
 * not count the address space that V8 only reserves), so that a single huge allocation fails in the child; and the resident
 * set is polled, which counts mapped files too. On other systems than Linux only V8's own heap limit is there.
 */
export class SandboxedProcess {
  /** Highest resident memory seen of any child, bytes (VmHWM); 0 where /proc does not say. */
  peakBytes = 0;
  /** How many processes were started. */
  starts = 0;
  private child: ChildProcess | null = null;
  private job: Job | null = null;

  constructor(private readonly options: SandboxedProcessOptions) {}

  /** Runs one job, which must be JSON; one at a time. Never rejects on what the child does. */
  async run(job: unknown): Promise<SandboxOutcome<unknown>> {
    if (this.job !== null) throw new Error('the sandboxed process is busy; wait for its answer');
    return new Promise((resolve) => {
      const { timeoutMs } = this.options.limits;
      const timer = setTimeout(() => this.end({ kind: 'timeout', afterMs: timeoutMs }), timeoutMs);
      this.job = {
        timer,
        settle: (outcome) => {
          clearTimeout(timer);
          this.job = null;
          resolve(outcome);
        },
      };
      this.child ??= this.start();
      this.child.stdin?.write(`${JSON.stringify(job)}\n`);
    });
  }

  /** Ends the process, its whole group, and waits for that. A job under way answers `crashed`. */
  async close(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    const gone = once(child, 'close');
    kill(child);
    await gone.catch(() => undefined);
  }

  /** What the job will answer once the process is gone. */
  private verdict: SandboxOutcome<unknown> | null = null;

  private end(verdict: SandboxOutcome<unknown>): void {
    this.verdict ??= verdict;
    if (this.child !== null) kill(this.child);
  }

  private start(): ChildProcess {
    const { limits, cwd, temporary } = this.options;
    this.starts++;
    this.verdict = null;
    const [program, args] = commandLine(this.options);
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Nothing of the caller's environment but what a program needs to run at all.
      env: { PATH: process.env.PATH, TMPDIR: temporary ?? cwd, HOME: cwd, ORT_DISABLE_TELEMETRY: '1' },
      cwd,
      // A process group of its own, so that whatever it started ends with it.
      detached: true,
    });
    const overMemory: SandboxOutcome<unknown> = { kind: 'memory', limitBytes: limits.memoryBytes };
    const poll = setInterval(() => {
      if (child.pid === undefined) return;
      void memoryOf(child.pid).then((memory) => {
        if (memory === null) return;
        this.peakBytes = Math.max(this.peakBytes, memory.peak);
        if (memory.resident > limits.memoryBytes && this.child === child) this.end(overMemory);
      });
    }, POLL_MS);

    let pending = '';
    let complaint = '';
    const answer = (line: string): void => {
      const outcome = parseAnswer(line);
      if (this.job === null || this.verdict !== null) return;
      if (outcome === null) this.end(crashed(null, null, 'the sandboxed process gave no result that makes sense'));
      else if (outcome.kind === 'refused' && speaksOfMemory(outcome.message)) this.job.settle(overMemory);
      else this.job.settle(outcome);
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (this.verdict !== null) return;
      pending += text;
      for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 1);
        answer(line);
      }
      if (pending.length > MAX_ANSWER_BYTES)
        this.end(crashed(null, null, `the sandboxed process answered over ${MAX_ANSWER_BYTES} bytes`));
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-4000);
    });
    // A child that is gone tells by 'close'; writing to it then is no news.
    child.stdin?.on('error', () => undefined);
    child.once('error', (error) => this.end(crashed(null, null, error.message)));
    // A stray that left the group could hold the pipes open for ever.
    child.once('exit', () => setTimeout(() => child.stdout?.destroy() && child.stderr?.destroy(), 1000).unref());
    child.once('close', (exitCode, signal) => {
      clearInterval(poll);
      if (exitCode === 0 && pending !== '') answer(pending);
      this.child = null;
      const ended = `the sandboxed process ended with ${signal ?? `exit ${exitCode}`}${lastWords(complaint)}`;
      const verdict = this.verdict ?? (speaksOfMemory(complaint) ? overMemory : crashed(signal, exitCode, ended));
      this.verdict = null;
      this.job?.settle(verdict);
    });
    return child;
  }
}

/** Runs one job in a process of its own, which is gone when this resolves. */
export async function runSandboxed(options: SandboxedProcessOptions, job: unknown): Promise<SandboxOutcome<unknown>> {
  const sandbox = new SandboxedProcess(options);
  try {
    return await sandbox.run(job);
  } finally {
    await sandbox.close();
  }
}

function commandLine({ script, args = [], limits }: SandboxedProcessOptions): [string, string[]] {
  const heapMiB = Math.max(64, Math.floor(limits.memoryBytes / MIB));
  const node = [process.execPath, `--max-old-space-size=${heapMiB}`, script, ...args];
  if (process.platform !== 'linux') return [node[0], node.slice(1)];
  const dataKiB = Math.ceil((limits.memoryBytes + DATA_SLACK_BYTES) / 1024);
  // A limit that is lower already stays; `exec` keeps the process id.
  return ['/bin/sh', ['-c', 'ulimit -c 0; ulimit -d "$0" 2>/dev/null; exec "$@"', String(dataKiB), ...node]];
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

function crashed(signal: NodeJS.Signals | null, exitCode: number | null, detail: string): SandboxOutcome<unknown> {
  return { kind: 'crashed', signal, exitCode, detail };
}

/** The first line of what it wrote to standard error that says something. */
function lastWords(complaint: string): string {
  const line = complaint.split('\n').find((text) => /error|abort|fault|terminate/i.test(text));
  return line === undefined ? '' : ` (${line.trim().slice(0, 200)})`;
}

/** Resident memory of a process and its highest so far, bytes; null where /proc does not say. */
async function memoryOf(pid: number): Promise<{ resident: number; peak: number } | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  if (resident === null || peak === null) return null;
  return { resident: Number(resident[1]) * 1024, peak: Number(peak[1]) * 1024 };
}
