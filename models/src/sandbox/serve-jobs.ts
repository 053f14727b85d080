import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import type { ChildAnswer } from './outcome.js';

type Work = (job: unknown) => Promise<unknown>;
/** A class of errors with closed codes, such as PackageError. */
type Refusal = new (...args: never[]) => Error & { readonly code: string };

/**
 * The child's side of a SandboxedProcess: takes one job a line from standard input, answers one line each on standard output, and
 * ends when its input ends. An error of one of the classes in `refusals` is a refusal; any other ends the process, as a crash does.
 */
export async function serveJobs(work: Work, refusals: readonly Refusal[]): Promise<void> {
  // A parent that was killed cannot end this process, and native code may hold its main thread: another thread watches.
  const watch = `setInterval(() => process.ppid === ${process.ppid} || process.kill(process.pid, 'SIGKILL'), 500)`;
  new Worker(watch, { eval: true }).unref();
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await answerTo(work, refusals, line);
    await new Promise((written) => process.stdout.write(`${JSON.stringify(answer)}\n`, written));
  }
  process.exit(0);
}

async function answerTo(work: Work, refusals: readonly Refusal[], line: string): Promise<ChildAnswer> {
  try {
    return { ok: await work(JSON.parse(line)) };
  } catch (error) {
    const refusal = refusals.map((kind) => (error instanceof kind ? error : null)).find((found) => found !== null);
    if (refusal === undefined) throw error;
    return { refused: { code: refusal.code, message: refusal.message } };
  }
}
