import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupError } from './console.mjs';

/** Path of a program on PATH, or null. */
export function which(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    if (folder === '') continue;
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/**
 * Runs a program to its end with everything it prints on stderr; when `quiet`, what it prints is kept and shown only if it fails.
 * Throws SetupError with `what` and the exit status.
 */
export async function runOnStderr(what, program, args, { quiet = false, cwd, env } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2],
  });
  const printed = [];
  child.stdout?.on('data', (chunk) => printed.push(chunk));
  child.stderr?.on('data', (chunk) => printed.push(chunk));
  const status = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  if (status === 0) return;
  process.stderr.write(Buffer.concat(printed));
  throw new SetupError(`${what} failed (${typeof status === 'number' ? `exit ${status}` : status}).`);
}

/** Runs a program with our stdin, stdout and stderr; resolves with its exit code (128 + n when a signal ended it). */
export async function runInherited(program, args, { cwd, env } = {}) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' });
  const forward = (signal) => child.kill(signal);
  process.on('SIGTERM', forward);
  // A terminal sends SIGINT to the whole group, the child included: the parent only has to stay until it is gone.
  const wait = () => {};
  process.on('SIGINT', wait);
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : 143)));
  });
  process.off('SIGTERM', forward);
  process.off('SIGINT', wait);
  return code;
}

/** The words to put before a command that needs root: none for root, `sudo -n` where that works, null where neither does. */
export function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (which('sudo') !== null && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0)
    return ['sudo', '-n'];
  return null;
}
