import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** CPU time that a control group grants all its processes together. When it is used up, the kernel stops every one of them for the rest of the period. */
export interface CpuQuota {
  /** Processors' worth, e.g. 0.5. */
  cpus: number;
  /** CPU time used by the whole group so far, ms; null where the system does not tell. */
  usedMs(): number | null;
}

export interface CgroupFiles {
  /** Where control groups are mounted. */
  root?: string;
  /** Which groups this process is in. */
  self?: string;
}

/**
 * The tightest CPU quota this process runs under (control groups v2 or v1, cgroups(7)); null when there is none below
 * `processors`. Inside a container the group's files stand at the mount's top.
 */
export function readCpuQuota(
  processors: number,
  { root = '/sys/fs/cgroup', self = '/proc/self/cgroup' }: CgroupFiles = {},
): CpuQuota | null {
  const groups = readText(self) ?? '';
  let tightest: { cpus: number; usage: () => number | null } | null = null;
  const consider = (cpus: number | null, usage: () => number | null): void => {
    if (cpus !== null && cpus < (tightest?.cpus ?? processors)) tightest = { cpus, usage };
  };
  for (const line of groups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const names = controllers.split(',');
    if (controllers !== '' && !names.includes('cpu')) continue;
    for (const group of withParents(path)) {
      if (controllers === '') {
        const at = join(root, group);
        consider(quotaOfV2(at), () => usageOfV2(at));
      } else {
        for (const mount of new Set([controllers, 'cpu'])) {
          consider(quotaOfV1(join(root, mount, group)), () => usageOfV1([controllers, 'cpuacct'], root, group));
        }
      }
    }
  }
  const found = tightest as { cpus: number; usage: () => number | null } | null;
  return found === null ? null : { cpus: found.cpus, usedMs: found.usage };
}

/** `/a/b` → `/a/b`, `/a`, `/`: a quota on any of them holds. */
function withParents(path: string): string[] {
  const groups = [path];
  while (groups[groups.length - 1] !== '/') groups.push(dirname(groups[groups.length - 1]));
  return groups;
}

function quotaOfV2(directory: string): number | null {
  const [quota, period] = (readText(join(directory, 'cpu.max')) ?? '').trim().split(/\s+/).map(Number);
  return ratio(quota, period);
}

function usageOfV2(directory: string): number | null {
  const microseconds = /^usage_usec (\d+)$/m.exec(readText(join(directory, 'cpu.stat')) ?? '')?.[1];
  return microseconds === undefined ? null : Number(microseconds) / 1000;
}

function quotaOfV1(directory: string): number | null {
  const number = (file: string): number => Number.parseInt(readText(join(directory, file)) ?? '', 10);
  return ratio(number('cpu.cfs_quota_us'), number('cpu.cfs_period_us'));
}

function usageOfV1(mounts: readonly string[], root: string, group: string): number | null {
  for (const mount of mounts) {
    const nanoseconds = Number.parseInt(readText(join(root, mount, group, 'cpuacct.usage')) ?? '', 10);
    if (Number.isFinite(nanoseconds)) return nanoseconds / 1e6;
  }
  return null;
}

/** "max" (v2) and -1 (v1) mean no quota. */
function ratio(quota: number, period: number): number | null {
  return quota > 0 && period > 0 ? quota / period : null;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
