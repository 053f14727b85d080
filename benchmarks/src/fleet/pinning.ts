import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';

/** The start of a command line that keeps a program to the first `cores` of this machine; empty where that cannot be had. */
export function pinned(cores: number): string[] {
  if (cores === 0 || cores >= cpus().length) return [];
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0) return [];
  return ['taskset', '-c', `0-${cores - 1}`];
}
