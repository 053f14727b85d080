import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { SandboxLimits } from '../src/sandbox/outcome.js';
import { SandboxedProcess } from '../src/sandbox/sandboxed-process.js';
import { verifySandboxed } from '../src/sandbox/verify-sandboxed.js';
import { available, folderOf, PERSON_MODEL, packageFiles, personPackage, temporaryFolder } from './package-fixture.js';

const MIB = 1024 * 1024;
const CHILD = fileURLToPath(new URL('../dist/sandbox/verify-child.js', import.meta.url));
/** A child that answers each line by what `body` makes of `job`. */
const answering = (body: string) => `
  import { createInterface } from 'node:readline';
  const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\\n');
  for await (const line of createInterface({ input: process.stdin })) { const job = JSON.parse(line); ${body} }`;

let open: SandboxedProcess | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function sandbox(code: string, limits: Partial<SandboxLimits> = {}): Promise<SandboxedProcess> {
  const cwd = await temporaryFolder();
  const script = join(cwd, 'child.mjs');
  await writeFile(script, code);
  open = new SandboxedProcess({ script, cwd, limits: { timeoutMs: 20_000, memoryBytes: 256 * MIB, ...limits } });
  return open;
}

describe('SandboxedProcess', () => {
  it('answers many jobs with one process, and starts a new one after a crash', async () => {
    const child = await sandbox(answering('if (job === "die") process.abort(); say({ ok: job * 2 });'));
    expect(await child.run(1)).toEqual({ kind: 'ok', value: 2 });
    expect(await child.run(2)).toEqual({ kind: 'ok', value: 4 });
    expect(child.starts).toBe(1);
    expect(await child.run('die')).toMatchObject({ kind: 'crashed', signal: 'SIGABRT' });
    expect(await child.run(3)).toEqual({ kind: 'ok', value: 6 });
    expect(child.starts).toBe(2);
    expect(child.peakBytes).toBeLessThan(512 * MIB);
  });

  it.each<[string, string, string]>([
    ['a refusal', 'say({ refused: { code: "NO_GOOD", message: "because" } });', 'refused'],
    ['an answer that is none', 'say({ hello: 1 });', 'crashed'],
    ['a code that is none', 'say({ refused: { code: "../x", message: "" } });', 'crashed'],
    ['a line that is no JSON', 'console.log("{");', 'crashed'],
    [
      'an answer without an end',
      'for (;;) process.stdout.write("x".repeat(1 << 20)) || (await new Promise((r) => process.stdout.once("drain", r)));',
      'crashed',
    ],
    ['a segmentation fault', 'process.kill(process.pid, "SIGSEGV");', 'crashed'],
    ['a quiet end', 'process.exit(0);', 'crashed'],
    ['an exception', 'throw new Error("oops");', 'crashed'],
    ['one allocation beyond the limit', 'Buffer.alloc(2 ** 31, 1); say({ ok: 1 });', 'memory'],
    ['a heap beyond the limit', 'const all = []; for (;;) all.push(new Array(1000).fill(Math.random()));', 'memory'],
    [
      'a refusal that speaks of memory',
      'say({ refused: { code: "MODEL_LOAD_FAILED", message: "std::bad_alloc" } });',
      'memory',
    ],
  ])('%s', async (_what, body, kind) => {
    expect(await (await sandbox(answering(body))).run(1)).toMatchObject({ kind });
  });

  it('ends one that hangs, with whatever it started', async () => {
    const cwd = await temporaryFolder();
    const note = join(cwd, 'pid');
    const body = `
      const { spawn } = await import('node:child_process');
      const { writeFileSync } = await import('node:fs');
      const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      writeFileSync(${JSON.stringify(note)}, String(grandchild.pid));
      for (;;);`;
    const child = await sandbox(answering(body), { timeoutMs: 1500 });
    expect(await child.run(1)).toEqual({ kind: 'timeout', afterMs: 1500 });
    const pid = Number(await readFile(note, 'utf8'));
    // Killed with its group: the signal is on its way when the child's end is known. What may be left of it is a zombie that
    // its new parent has not asked after.
    const state = () =>
      readFile(`/proc/${pid}/stat`, 'utf8').then(
        (text) => text.split(') ')[1][0],
        () => 'gone',
      );
    await expect.poll(state, { timeout: 10_000 }).toMatch(/^(gone|Z|X)$/);
  });

  it('leaves the caller’s environment out', async () => {
    process.env.VIGIE_SECRET_OF_THE_CALLER = 'secret';
    try {
      const child = await sandbox(answering('say({ ok: Object.keys(process.env) });'));
      const outcome = await child.run(1);
      expect(outcome).toMatchObject({ kind: 'ok', value: expect.arrayContaining(['PATH', 'TMPDIR']) });
      expect(JSON.stringify(outcome)).not.toContain('SECRET');
    } finally {
      delete process.env.VIGIE_SECRET_OF_THE_CALLER;
    }
  });
});

describe.skipIf(!available(CHILD, PERSON_MODEL))('verifySandboxed', () => {
  it('says of a good package what is good, and of a bad one what is bad', async () => {
    const bad = await verifySandboxed(await personPackage(), undefined, CHILD);
    // The fixture's golden picture is none; the model itself loads.
    expect(bad).toMatchObject({ ok: false, code: 'PICTURE_INVALID', name: 'person-detector' });
    expect(bad.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['package', true],
      ['model', true],
      ['golden', false],
    ]);
    expect(await verifySandboxed(await folderOf(packageFiles()), undefined, CHILD)).toMatchObject({
      code: 'MODEL_LOAD_FAILED',
    });
    await expect(verifySandboxed('/nonexistent', undefined, CHILD)).rejects.toMatchObject({
      code: 'PACKAGE_NOT_FOUND',
    });
  });

  it('gives its own codes for what the process may not do, and leaves nothing behind', async () => {
    const folder = await personPackage();
    const code = async (script: string, limits: SandboxLimits) => {
      const path = join(await temporaryFolder(), 'child.mjs');
      await writeFile(path, script);
      return (await verifySandboxed(folder, limits, path)).code;
    };
    const limits = { timeoutMs: 20_000, memoryBytes: 256 * MIB };
    expect(await code('process.abort()', limits)).toBe('VERIFICATION_CRASHED');
    expect(await code('console.log(JSON.stringify({ ok: { ok: true } }))', limits)).toBe('VERIFICATION_CRASHED');
    expect(await code('for (;;);', { ...limits, timeoutMs: 500 })).toBe('VERIFICATION_TIMEOUT');
    const where = join(await temporaryFolder(), 'where');
    const noting = `require('node:fs').writeFileSync(${JSON.stringify(where)}, process.cwd()); Buffer.alloc(2 ** 31, 1);`;
    expect(
      await code(
        `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); ${noting}`,
        limits,
      ),
    ).toBe('VERIFICATION_OUT_OF_MEMORY');
    expect(existsSync(await readFile(where, 'utf8'))).toBe(false);
  });
});
