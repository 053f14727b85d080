import { readFileSync } from 'node:fs';

/** What one board adds to the memory in use while it updates: agent, two inference children, ffmpeg. Measured: 120 MiB with 50 boards. */
const BYTES_PER_BOARD = 150 * 2 ** 20;
/** Kept free for the server, the tests and everything else on the machine, bytes. */
const RESERVE_BYTES = 1.5 * 2 ** 30;

/** How many boards fit into the memory that is free now; `reduced` says why they are fewer than wanted. */
export function affordableBoards(
  wanted: number,
  meminfo = readFileSync('/proc/meminfo', 'utf8'),
): { boards: number; reduced: string | null } {
  const available = 1024 * Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0);
  const fitting = Math.max(1, Math.floor((available - RESERVE_BYTES) / BYTES_PER_BOARD));
  if (fitting >= wanted) return { boards: wanted, reduced: null };
  const mib = Math.round(available / 2 ** 20);
  return {
    boards: fitting,
    reduced: `${fitting} boards instead of ${wanted}: ${mib} MiB of memory are free, a board may take ${BYTES_PER_BOARD / 2 ** 20} MiB`,
  };
}
