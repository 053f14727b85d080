import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Value } from '@sinclair/typebox/value';
import { ReleaseDescriptor } from '@vigie/protocol';
import type { SandboxResult, VerifyArchive } from '../ports.js';

export interface SandboxLimits {
  timeoutMs: number;
  /** Resident memory, bytes. */
  memoryBytes: number;
  /** The script that unpacks, loads and tests; tests of the limits use another one. */
  script?: string;
}

const SCRIPT = fileURLToPath(new URL('./package-sandbox-child.js', import.meta.url));
const MAX_OUTPUT_BYTES = 1024 * 1024;
const POLL_MS = 50;

/**
 * A package is a stranger's: its archive is unpacked and its model loaded in a child process with a time and a memory limit
 * and without the server's environment. Whatever happens there, the server answers with a code.
 */
export function packageSandbox(limits: SandboxLimits): VerifyArchive {
  const heapMiB = Math.max(64, Math.floor(limits.memoryBytes / 1024 / 1024));
  return (archive, directory) =>
    new Promise<SandboxResult>((resolve) => {
      const child = spawn(
        process.execPath,
        [`--max-old-space-size=${heapMiB}`, limits.script ?? SCRIPT, archive, directory],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { PATH: process.env.PATH },
          cwd: directory,
        },
      );
      let ended: SandboxResult | null = null;
      const end = (result: SandboxResult) => {
        ended ??= result;
        child.kill('SIGKILL');
      };
      const seconds = limits.timeoutMs / 1000;
      const timer = setTimeout(
        () => end({ ok: false, code: 'VERIFICATION_TIMEOUT', detail: `load and golden test took over ${seconds} s` }),
        limits.timeoutMs,
      );
      const overMemory = (): SandboxResult => ({
        ok: false,
        code: 'VERIFICATION_OUT_OF_MEMORY',
        detail: `load and golden test took over ${heapMiB} MiB`,
      });
      const poll = setInterval(() => {
        if (child.pid === undefined) return;
        void residentBytes(child.pid).then(
          (bytes) => bytes !== null && bytes > limits.memoryBytes && end(overMemory()),
        );
      }, POLL_MS);
      const output: Buffer[] = [];
      let outputBytes = 0;
      child.stdout.on('data', (bytes: Buffer) => {
        outputBytes += bytes.length;
        if (outputBytes <= MAX_OUTPUT_BYTES) output.push(bytes);
      });
      let complaint = '';
      child.stderr.on('data', (bytes: Buffer) => {
        complaint = (complaint + bytes.toString()).slice(-2000);
      });
      child.once('error', (error) => end({ ok: false, code: 'VERIFICATION_CRASHED', detail: error.message }));
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        clearInterval(poll);
        if (ended !== null) return resolve(ended);
        if (code === 0) return resolve(parseResult(Buffer.concat(output)));
        if (complaint.includes('heap out of memory')) return resolve(overMemory());
        resolve({
          ok: false,
          code: 'VERIFICATION_CRASHED',
          detail: `load and golden test ended with ${signal ?? `exit ${code}`}`,
        });
      });
    });
}

/** The child ran foreign bytes, so that what it says is checked like a message from the network. */
function parseResult(bytes: Buffer): SandboxResult {
  const crashed: SandboxResult = {
    ok: false,
    code: 'VERIFICATION_CRASHED',
    detail: 'load and golden test gave no result',
  };
  try {
    const result = JSON.parse(bytes.toString()) as Partial<Extract<SandboxResult, { ok: true }>> &
      Partial<Extract<SandboxResult, { ok: false }>>;
    if (result.ok === true)
      return Value.Check(ReleaseDescriptor, result.descriptor) ? { ok: true, descriptor: result.descriptor } : crashed;
    if (result.code !== 'PACKAGE_INVALID' && result.code !== 'MODEL_LOAD_FAILED' && result.code !== 'GOLDEN_MISMATCH')
      return crashed;
    return {
      ok: false,
      code: result.code,
      packageCode: String(result.packageCode).slice(0, 64),
      detail: String(result.detail).slice(0, 1000),
    };
  } catch {
    return crashed;
  }
}

/** Resident memory of a process, bytes; null where /proc does not say. */
async function residentBytes(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match === null ? null : Number(match[1]) * 1024;
}
