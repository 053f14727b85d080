import { readFileSync } from 'node:fs';
import { readTree } from '../../benchmarks/src/measure/process-tree.js';
import { waitFor } from '../../benchmarks/src/rig/wait.js';

/** Is this process still there? (A zombie is not.) */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Process ids below `pid`, without itself. */
export function descendants(pid: number): number[] {
  return readTree(pid)
    .map((member) => member.pid)
    .filter((member) => member !== pid);
}

/** The inference children of an agent: what runs below it under Node. */
export function inferenceChildren(agentPid: number): number[] {
  return descendants(agentPid).filter((pid) => /(^|\/)node$/.test(commandLine(pid)[0]));
}

/** Kills one process without warning and waits until it is gone. Its children are left to themselves. */
export async function killHard(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitFor(`process ${pid} to be gone`, () => !isAlive(pid), { timeoutMs: 10_000 });
}
