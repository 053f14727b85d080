/** A line of progress for people. Stdout is kept for the result. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Milliseconds with one decimal; `?` when there is no figure. */
export function ms(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} ms` : '?';
}
