import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { descendants, type ProcessStat, parseProcessStat, treeTicks } from './proc-stat.js';

/** CPU and memory of a process and all its descendants at one moment. */
export interface TreeUsage {
  /** User and system time so far, s, reaped descendants included. */
  cpuSeconds: number;
  /** Sum of the resident sets, bytes; pages shared between processes count once for each. */
  residentBytes: number;
  processes: number;
}

let clock: { ticksPerSecond: number; pageBytes: number } | undefined;

function clockUnits(): { ticksPerSecond: number; pageBytes: number } {
  clock ??= {
    ticksPerSecond: Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })),
    pageBytes: Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })),
  };
  return clock;
}

/** All processes of the machine that can be read now. One that ends while we read is left out. */
export function listProcesses(): ProcessStat[] {
  const all: ProcessStat[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      all.push(parseProcessStat(readFileSync(`/proc/${name}/stat`, 'utf8')));
    } catch {
      // Ended between the listing and the reading.
    }
  }
  return all;
}

/** The living processes of the tree under `root`, `root` included. */
export function readTree(root: number): ProcessStat[] {
  return descendants(listProcesses(), root);
}

/** True while this very process runs: not ended, and not another one with the same id. */
export function stillRuns(process: ProcessStat): boolean {
  try {
    const now = parseProcessStat(readFileSync(`/proc/${process.pid}/stat`, 'utf8'));
    return now.startTicks === process.startTicks && !now.ended;
  } catch {
    return false;
  }
}

/** Usage of the tree under `root`. Throws when `root` is not running: a dead board has no figures. */
export function readTreeUsage(root: number): TreeUsage {
  const tree = readTree(root);
  if (tree.length === 0 || tree[0].ended) throw new Error(`process ${root} is not running`);
  const { ticksPerSecond, pageBytes } = clockUnits();
  return {
    cpuSeconds: treeTicks(tree) / ticksPerSecond,
    residentBytes: tree.reduce((sum, process) => sum + process.residentPages, 0) * pageBytes,
    processes: tree.length,
  };
}

/** CPU time of this process's reaped children so far, s: what a finished child cost is the difference. */
export function reapedCpuSeconds(): number {
  return parseProcessStat(readFileSync('/proc/self/stat', 'utf8')).reapedTicks / clockUnits().ticksPerSecond;
}

/** Which part of a board a process is. */
export type BoardRole = 'agent' | 'inference' | 'ffmpeg';

/** CPU time so far by part of the board, s: says where an overhead sits. The agent's reaped children count as its own. */
export function readBoardCpu(root: number): Record<BoardRole, number> {
  const { ticksPerSecond } = clockUnits();
  const seconds: Record<BoardRole, number> = { agent: 0, inference: 0, ffmpeg: 0 };
  for (const process of readTree(root)) {
    seconds[roleOf(process.pid)] += (process.ownTicks + process.reapedTicks) / ticksPerSecond;
  }
  return seconds;
}

function roleOf(pid: number): BoardRole {
  let words: string[];
  try {
    words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return 'agent';
  }
  if (/(^|\/)ffmpeg$/.test(words[0])) return 'ffmpeg';
  // The agent runs its own CLI; any other Node process under it is an inference child.
  return /(^|\/)node$/.test(words[0]) && !words.some((word) => word.endsWith('/cli.js')) ? 'inference' : 'agent';
}
