import { performance } from 'node:perf_hooks';

/** Time left is told for steps that take longer than this. */
const LONG_MS = 5000;

/**
 * Progress on stderr, step by step: one line that moves on a terminal, a line every tenth otherwise, with the time left
 * where a step takes long.
 */
export function stepProgress(): (what: string, done: number, total: number) => void {
  let current = '';
  let start = 0;
  return (what, done, total) => {
    if (what !== current) {
      current = what;
      start = performance.now();
    }
    const elapsed = performance.now() - start;
    const left =
      elapsed > LONG_MS && done > 1 && done < total ? `, ${duration((elapsed / done) * (total - done))} left` : '';
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${what} ${done}/${total}${left}${done === total ? '\n' : ''}`);
    } else if (done === total || done % Math.ceil(total / 10) === 0) {
      process.stderr.write(`${what} ${done}/${total}${left}\n`);
    }
  };
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
