import { spawn } from 'node:child_process';

/** A helper command ended with an error; the message holds what it wrote on stderr. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export interface CommandOptions {
  timeoutMs?: number;
}

/** Runs a short command to its end and returns its stdout. Arguments may hold secrets: they are never part of a message. */
export function runCommand(
  name: string,
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: options.timeoutMs ?? 60_000 });
    const output: Buffer[] = [];
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(-4000);
    });
    child.once('error', (error) => reject(new CommandError(`${name}: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new CommandError(`${name} ended with ${signal ?? `exit code ${code}`}: ${complaint.trim()}`));
    });
  });
}
