import { readFileSync } from 'node:fs';

/** Of this package, as its manifest says. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
