import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCpuQuota } from './cpu-quota.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vigie-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(files: Record<string, string>): { root: string; self: string } {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { root, self: join(root, 'self') };
}

describe('readCpuQuota', () => {
  it('reads control groups of version 2', () => {
    const files = put({
      self: '0::/system.slice/agent.service\n',
      'system.slice/agent.service/cpu.max': '50000 100000\n',
      'system.slice/agent.service/cpu.stat': 'usage_usec 1234000\nuser_usec 1\nnr_periods 5\n',
    });
    const quota = readCpuQuota(4, files);
    expect([quota?.cpus, quota?.usedMs()]).toEqual([0.5, 1234]);
  });

  it('reads control groups of version 1, mounted together or apart', () => {
    const limits = { 'cpu.cfs_quota_us': '50000\n', 'cpu.cfs_period_us': '100000\n' };
    const at = (folder: string) => Object.fromEntries(Object.entries(limits).map(([f, t]) => [`${folder}/${f}`, t]));
    const apart = readCpuQuota(
      4,
      put({ self: '2:cpuacct:/b\n1:cpu:/b\n', ...at('cpu/b'), 'cpuacct/b/cpuacct.usage': '2000000000\n' }),
    );
    expect([apart?.cpus, apart?.usedMs()]).toEqual([0.5, 2000]);
    rmSync(root, { recursive: true });
    const together = readCpuQuota(
      4,
      put({ self: '4:cpu,cpuacct:/c\n', ...at('cpu,cpuacct/c'), 'cpu,cpuacct/c/cpuacct.usage': '3000000\n' }),
    );
    expect([together?.cpus, together?.usedMs()]).toEqual([0.5, 3]);
  });

  it('finds a quota that stands on a group above, and takes the tightest', () => {
    const files = put({
      self: '0::/pod/board\n',
      'pod/cpu.max': '30000 100000',
      'pod/board/cpu.max': '100000 100000',
      'cpu.max': 'max 100000',
    });
    expect(readCpuQuota(4, files)?.cpus).toBe(0.3);
  });

  it('inside a container finds it at the top', () => {
    expect(readCpuQuota(4, put({ self: '0::/docker/0123\n', 'cpu.max': '75000 100000' }))?.cpus).toBe(0.75);
  });

  it('sees no quota where there is none, or none that limits', () => {
    expect(readCpuQuota(4, put({ self: '0::/a\n', 'a/cpu.max': 'max 100000' }))).toBeNull();
    expect(readCpuQuota(4, put({ self: '1:cpu:/\n', 'cpu/cpu.cfs_quota_us': '-1' }))).toBeNull();
    expect(readCpuQuota(4, put({ self: '0::/a\n', 'a/cpu.max': '400000 100000' }))).toBeNull();
    expect(readCpuQuota(4, { root, self: join(root, 'nowhere') })).toBeNull();
  });

  it('does not know the use where the system does not tell', () => {
    expect(readCpuQuota(4, put({ self: '0::/a\n', 'a/cpu.max': '50000 100000' }))?.usedMs()).toBeNull();
  });
});
