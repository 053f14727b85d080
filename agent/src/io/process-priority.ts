import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

export const BACKGROUND_NICE = 10;
const CAP_SYS_NICE = 23n;

/**
 * May this process raise a priority it has lowered? Needs CAP_SYS_NICE or RLIMIT_NICE. Without it a candidate would stay
 * at low priority after it has become live, so it is better not lowered at all.
 */
export function canRaisePriority(): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    if ((BigInt(`0x${effective}`) >> CAP_SYS_NICE) & 1n) return true;
    const limit = /^Max nice priority\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '0';
    return Number(limit) >= 20;
  } catch {
    return false;
  }
}

/** Sets the nice value of every thread of a process (Linux keeps it per thread). Throws when the system refuses. */
export function setProcessPriority(pid: number, nice: number): void {
  for (const task of readdirSync(`/proc/${pid}/task`)) setPriority(Number(task), nice);
}
