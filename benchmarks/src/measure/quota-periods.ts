import { readFileSync } from 'node:fs';

/** Where `scripts/half-core` makes its group, by the id of its process: control groups v2, then v1. */
const PLACES = (pid: number): string[] => [
  `/sys/fs/cgroup/vigie-half-core.${pid}/cpu.stat`,
  `/sys/fs/cgroup/cpu/vigie-half-core.${pid}/cpu.stat`,
];

/** In how many periods so far a board under `half-core` (its process id) had used its quota up and was stopped; null: no such group. */
export function throttledPeriods(pid: number): number | null {
  for (const path of PLACES(pid)) {
    try {
      const count = /^nr_throttled (\d+)$/m.exec(readFileSync(path, 'utf8'))?.[1];
      if (count !== undefined) return Number(count);
    } catch {
      // The other version of control groups, or none.
    }
  }
  return null;
}
