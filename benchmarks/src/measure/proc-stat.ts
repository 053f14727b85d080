/** What a benchmark needs of `/proc/PID/stat` (proc_pid_stat(5)). CPU times in clock ticks. */
export interface ProcessStat {
  pid: number;
  parent: number;
  /** Process group: the id of its leader, which may be dead. */
  group: number;
  /** It has ended and only waits for its parent to notice (a zombie): it still counts, but it does not run. */
  ended: boolean;
  /** User and system time of the process itself. */
  ownTicks: number;
  /** The same of its children that ended and were waited for, and of theirs. */
  reapedTicks: number;
  /** Moment of start in ticks since boot: tells a process from a later one with the same id. */
  startTicks: number;
  /** Resident set, pages. */
  residentPages: number;
}

/** Parses one `/proc/PID/stat` line. The command name may hold blanks and parentheses: fields count from its last `)`. */
export function parseProcessStat(line: string): ProcessStat {
  const close = line.lastIndexOf(')');
  const fields = line
    .slice(close + 2)
    .trim()
    .split(/\s+/);
  const pid = Number.parseInt(line, 10);
  if (close < 0 || fields.length < 22 || !Number.isInteger(pid))
    throw new RangeError(`not a /proc/PID/stat line: ${line}`);
  // `fields[0]` is field 3 (state) of the manual page.
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid,
    parent: field(4),
    group: field(5),
    ended: fields[0] === 'Z' || fields[0] === 'X',
    ownTicks: field(14) + field(15),
    reapedTicks: field(16) + field(17),
    startTicks: field(22),
    residentPages: field(24),
  };
}

/** `root` and all its living descendants, parents before children. Empty when `root` is not among `all`. */
export function descendants(all: readonly ProcessStat[], root: number): ProcessStat[] {
  const first = all.find((process) => process.pid === root);
  const tree = first === undefined ? [] : [first];
  for (const process of tree) tree.push(...all.filter((other) => other.parent === process.pid));
  return tree;
}

/** CPU ticks of a tree up to now: the living ones' own time plus all that was reaped inside the tree. */
export function treeTicks(tree: readonly ProcessStat[]): number {
  return tree.reduce((sum, process) => sum + process.ownTicks + process.reapedTicks, 0);
}
