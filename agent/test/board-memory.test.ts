import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readBoardMemory } from '../src/io/board-memory.js';
import { scratchFolder } from './fleet-fixture.js';

const MIB = 1024 * 1024;

function board(files: Record<string, string>) {
  const root = scratchFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return { proc: join(root, 'proc'), cgroup: join(root, 'cgroup') };
}

const meminfo = 'MemTotal: 4096000 kB\nMemAvailable: 1024000 kB\n';
const kernel = 1024000 * 1024;

test('without groups it is what the kernel has available', () => {
  expect(readBoardMemory(null, board({ 'proc/meminfo': meminfo }))).toEqual({
    availableBytes: kernel,
    liveBytes: null,
  });
});

test('version 2: the least room of all groups above, less what the kernel gives back', () => {
  const files = board({
    'proc/meminfo': meminfo,
    'proc/self/cgroup': '0::/system.slice/vigie.service\n',
    'proc/77/status': 'Name: node\nVmRSS:\t  120000 kB\n',
    'cgroup/system.slice/vigie.service/memory.max': 'max\n',
    'cgroup/system.slice/vigie.service/memory.current': `${90 * MIB}\n`,
    'cgroup/system.slice/memory.max': `${512 * MIB}\n`,
    'cgroup/system.slice/memory.current': `${300 * MIB}\n`,
    'cgroup/system.slice/memory.stat': `anon 1\ninactive_file ${20 * MIB}\n`,
  });
  expect(readBoardMemory(77, files)).toEqual({ availableBytes: 232 * MIB, liveBytes: 120000 * 1024 });
});

test('version 1, and a container that sees its own group as the root', () => {
  const files = board({
    'proc/meminfo': meminfo,
    'proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/docker/abc\n',
    'cgroup/memory/memory.limit_in_bytes': `${256 * MIB}\n`,
    'cgroup/memory/memory.usage_in_bytes': `${200 * MIB}\n`,
    'cgroup/memory/memory.stat': `total_inactive_file ${4 * MIB}\n`,
  });
  expect(readBoardMemory(null, files).availableBytes).toBe(60 * MIB);
  const unlimited = board({
    'proc/meminfo': meminfo,
    'proc/self/cgroup': '4:memory:/\n',
    'cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'cgroup/memory/memory.usage_in_bytes': `${200 * MIB}\n`,
  });
  expect(readBoardMemory(null, unlimited).availableBytes).toBe(kernel);
});

test('the machine it runs on says something', () => {
  const memory = readBoardMemory(process.pid);
  expect(memory.availableBytes).toBeGreaterThan(0);
  expect(memory.liveBytes).toBeGreaterThan(10 * MIB);
  expect(readBoardMemory(null, { proc: '/nowhere', cgroup: '/nowhere' })).toEqual({
    availableBytes: null,
    liveBytes: null,
  });
});
