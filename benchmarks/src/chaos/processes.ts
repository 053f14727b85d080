import { readFileSync } from 'node:fs';
import type { ProcessStat } from '../measure/proc-stat.js';
import { listProcesses, readTree, stillRuns } from '../measure/process-tree.js';
import { waitFor } from '../rig/wait.js';

/**
 * The living processes of a group but its leader. Also when the leader is dead and they have become orphans, so a kill need
 * not wait until they were listed.
 */
export function membersOfGroup(leader: number): ProcessStat[] {
  return listProcesses().filter(({ pid, group, ended }) => group === leader && pid !== leader && !ended);
}

/** Inference children of an agent, the oldest first: Node processes below it. */
export function inferenceChildren(agentPid: number): ProcessStat[] {
  return readTree(agentPid)
    .filter((member) => member.pid !== agentPid && !member.ended && /(^|\/)node$/.test(programOf(member.pid)))
    .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
}

/** SIGKILL to one process; false when it had ended already. Its children are left to themselves. */
export function killHard(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** Resolves with those that still run when the time is over; empty: all have ended. */
export async function awaitEnd(members: readonly ProcessStat[], timeoutMs: number): Promise<ProcessStat[]> {
  const left = (): ProcessStat[] => members.filter(stillRuns);
  await waitFor('processes to end', () => left().length === 0, { timeoutMs, everyMs: 25 }).catch(() => {});
  return left();
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0];
  } catch {
    return '';
  }
}
