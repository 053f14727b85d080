import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BoardMemory } from '../update/preflight.js';

/** Where Linux says it; for tests. */
export interface MemoryFiles {
  proc: string;
  cgroup: string;
}

const LINUX: MemoryFiles = { proc: '/proc', cgroup: '/sys/fs/cgroup' };

/** What a control group says: its limit, what it has, and what of that the kernel would give back at once. */
const V2 = { limit: 'memory.max', used: 'memory.current', stat: 'inactive_file' };
const V1 = { limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes', stat: 'total_inactive_file' };

/**
 * Memory that a new process may take, and what the process `livePid` takes: the least of what the kernel has available and of
 * what every control group above this process leaves (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 */
export function readBoardMemory(livePid: number | null, files: MemoryFiles = LINUX): BoardMemory {
  const rooms = [kernelRoom(files), ...groupRooms(files)].filter((room) => room !== null);
  return {
    availableBytes: rooms.length === 0 ? null : Math.max(0, Math.min(...rooms)),
    liveBytes: livePid === null ? null : kibibytes(join(files.proc, `${livePid}`, 'status'), 'VmRSS'),
  };
}

function kernelRoom({ proc }: MemoryFiles): number | null {
  return kibibytes(join(proc, 'meminfo'), 'MemAvailable');
}

function groupRooms(files: MemoryFiles): (number | null)[] {
  return (read(join(files.proc, 'self/cgroup')) ?? '').split('\n').flatMap((line) => {
    // `0::/path` is version 2, `4:memory:/path` version 1.
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match === null) return [];
    const [, controllers, path] = match;
    if (controllers === '') return roomsAbove(files.cgroup, path, V2);
    return controllers.split(',').includes('memory') ? roomsAbove(join(files.cgroup, 'memory'), path, V1) : [];
  });
}

/** A limit may stand at any level. In a container the path may not be visible: then the mount itself is the group. */
function roomsAbove(root: string, path: string, names: typeof V2): (number | null)[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, depth) =>
    room(join(root, ...parts.slice(0, parts.length - depth)), names),
  );
}

function room(group: string, names: typeof V2): number | null {
  const limit = Number(read(join(group, names.limit)) ?? Number.NaN);
  const used = Number(read(join(group, names.used)) ?? Number.NaN);
  // `max` is no number, and version 1 says "no limit" by one beyond any memory.
  if (!Number.isFinite(limit) || !Number.isFinite(used) || limit > Number.MAX_SAFE_INTEGER) return null;
  const stat = new RegExp(`^${names.stat} (\\d+)$`, 'm').exec(read(join(group, 'memory.stat')) ?? '');
  return limit - used + Number(stat?.[1] ?? 0);
}

function kibibytes(path: string, field: string): number | null {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(path) ?? '');
  return match === null ? null : Number(match[1]) * 1024;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
