import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxLimits } from '@vigie/models/sandbox/outcome';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageSandbox } from './package-sandbox.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-sandbox-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function verdict(code: string, limits: Partial<SandboxLimits> = {}): Promise<string> {
  const script = join(folder, 'child.mjs');
  await writeFile(script, code);
  const sandbox = packageSandbox({ timeoutMs: 20_000, memoryBytes: 512 * 1024 * 1024, ...limits }, script);
  const result = await sandbox('archive', folder);
  return result.ok ? 'ok' : result.code;
}

describe('packageSandbox', () => {
  it('gives a code for everything a foreign package may do to its process', async () => {
    expect(await verdict('setInterval(() => {}, 1000)', { timeoutMs: 500 })).toBe('VERIFICATION_TIMEOUT');
    expect(await verdict('for (;;) {}', { timeoutMs: 500 })).toBe('VERIFICATION_TIMEOUT');
    expect(await verdict('process.abort()')).toBe('VERIFICATION_CRASHED');
    expect(await verdict('process.kill(process.pid, "SIGSEGV")')).toBe('VERIFICATION_CRASHED');
    expect(await verdict('process.exit(0)')).toBe('VERIFICATION_CRASHED');
    expect(await verdict('console.log("{}")')).toBe('VERIFICATION_CRASHED');
    expect(await verdict('console.log(JSON.stringify({ ok: { name: "../x" } }))')).toBe('VERIFICATION_CRASHED');
    expect(
      await verdict('const b = "x".repeat(1 << 20); for (;;) process.stdout.write(b)', { timeoutMs: 1500 }),
    ).not.toBe('ok');
  });

  it('ends one that takes too much memory, in the heap or beside it', async () => {
    const beside = 'const all = []; setInterval(() => all.push(Buffer.alloc(32 << 20, 1)), 5)';
    expect(await verdict(beside, { memoryBytes: 200 * 1024 * 1024 })).toBe('VERIFICATION_OUT_OF_MEMORY');
    const inHeap = 'const all = []; for (;;) all.push(new Array(1000).fill(Math.random()))';
    expect(await verdict(inHeap, { memoryBytes: 128 * 1024 * 1024 })).toBe('VERIFICATION_OUT_OF_MEMORY');
  });

  it('keeps the server’s environment to itself', async () => {
    process.env.VIGIE_SECRET_OF_THE_SERVER = 'secret';
    const code = 'process.exit(process.env.VIGIE_SECRET_OF_THE_SERVER === undefined ? 7 : 0)';
    const script = join(folder, 'child.mjs');
    await writeFile(script, code);
    const result = await packageSandbox({ timeoutMs: 20_000, memoryBytes: 512 * 1024 * 1024 }, script)(
      'archive',
      folder,
    );
    delete process.env.VIGIE_SECRET_OF_THE_SERVER;
    expect(result).toMatchObject({ ok: false, detail: expect.stringContaining('exit 7') });
  });
});
