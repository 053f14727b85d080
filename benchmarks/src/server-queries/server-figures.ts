import { readFileSync } from 'node:fs';

/** Runs of one duty so far, and seconds in them. */
export interface DutyTimes {
  runs: number;
  seconds: number;
}

/** Duties in the server's own figures (Prometheus text format). */
export function dutyTimes(exposition: string): Map<string, DutyTimes> {
  const found = new Map<string, DutyTimes>();
  const pattern = /^vigie_duty_duration_seconds_(sum|count)\{duty="([^"]+)"\} (\S+)$/gm;
  for (const [, figure, duty, value] of exposition.matchAll(pattern)) {
    const times = found.get(duty) ?? { runs: 0, seconds: 0 };
    found.set(duty, { ...times, [figure === 'sum' ? 'seconds' : 'runs']: Number(value) });
  }
  return found;
}

/** Statements of one kind that the server called slow. */
export interface SlowStatements {
  statement: string;
  count: number;
  totalMs: number;
  maxMs: number;
}

/** Slow statements in the lines of the server's log from `from` (a character) on, those that took most first. */
export function slowStatements(logPath: string, from: number): SlowStatements[] {
  const byText = new Map<string, SlowStatements>();
  for (const line of readFileSync(logPath, 'utf8').slice(from).split('\n')) {
    if (!line.includes('a statement was slow')) continue;
    const { ms, statement } = JSON.parse(line) as { ms: number; statement: string };
    const one = byText.get(statement) ?? { statement, count: 0, totalMs: 0, maxMs: 0 };
    byText.set(statement, {
      statement,
      count: one.count + 1,
      totalMs: one.totalMs + ms,
      maxMs: Math.max(one.maxMs, ms),
    });
  }
  return [...byText.values()].sort((a, b) => b.totalMs - a.totalMs);
}

export function logLength(logPath: string): number {
  return readFileSync(logPath, 'utf8').length;
}
