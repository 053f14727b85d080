import { readFileSync } from 'node:fs';

/** An idle child takes about 60 MB. Twice that must be left, or it would push out what is worth more, bytes. */
const NEEDED = 128 * 1024 * 1024;

/** Whether a child that only waits may take memory: as the machine sees it, and the control group where there is one. */
export function hasMemoryForSpare(): boolean {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    const machine = kibibytes === undefined ? Number.POSITIVE_INFINITY : Number(kibibytes) * 1024;
    const limit = process.constrainedMemory();
    return machine >= NEEDED && (limit === 0 || limit === undefined || process.availableMemory() >= NEEDED / 2);
  } catch {
    return true;
  }
}
