import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { PACKAGE_ERROR_CODES, PackageError, type PackageErrorCode } from '../package/package-error.js';
import type { SandboxLimits, SandboxOutcome } from './outcome.js';
import { runSandboxed } from './sandboxed-process.js';
import type { Verification } from './verify-package.js';

const SCRIPT = fileURLToPath(new URL('./verify-child.js', import.meta.url));
const MIB = 1024 * 1024;

/** Enough for the largest package that is taken, and little enough for a laptop. */
export const VERIFY_LIMITS: SandboxLimits = { timeoutMs: 120_000, memoryBytes: 1536 * MIB };

const Text = Type.Optional(Type.String({ maxLength: 1000 }));
const Answer = Type.Object(
  {
    ok: Type.Boolean(),
    name: Text,
    version: Text,
    precision: Text,
    digest: Text,
    bytes: Type.Optional(Type.Number()),
    runtime: Text,
    checks: Type.Array(
      Type.Object({
        name: Type.String({ maxLength: 1000 }),
        ok: Type.Boolean(),
        detail: Type.String({ maxLength: 20_000 }),
      }),
      { maxItems: 100 },
    ),
    code: Type.Optional(Type.Union(PACKAGE_ERROR_CODES.map((code) => Type.Literal(code)))),
  },
  { additionalProperties: false },
);

/**
 * `verifyPackage` in a process of its own, for packages of strangers: whatever the model does there (crash, hang, take memory),
 * this gives a Verification, then with a code VERIFICATION_CRASHED, VERIFICATION_TIMEOUT or VERIFICATION_OUT_OF_MEMORY.
 * Throws PackageError PACKAGE_NOT_FOUND.
 */
export async function verifySandboxed(
  path: string,
  limits: SandboxLimits = VERIFY_LIMITS,
  script = SCRIPT,
): Promise<Verification> {
  const scratch = await mkdtemp(join(tmpdir(), 'vigie-sandbox-'));
  try {
    const outcome = await runSandboxed({ script, limits, cwd: scratch }, { package: resolve(path) });
    if (outcome.kind === 'ok') return readAnswer(outcome.value);
    // What the child refuses as a whole is PACKAGE_NOT_FOUND; the path is told as the user wrote it.
    if (outcome.kind === 'refused') throw new PackageError(codeOf(outcome.code), outcome.message);
    return failed(outcome, limits);
  } finally {
    // What the child unpacked is the child's; one that was killed leaves it behind.
    await rm(scratch, { recursive: true, force: true });
  }
}

function readAnswer(value: unknown): Verification {
  if (Value.Check(Answer, value)) return value satisfies Static<typeof Answer> as Verification;
  return failure(
    'VERIFICATION_CRASHED',
    'the sandboxed process gave no result that makes sense; do not use this package',
  );
}

function failed(
  outcome: Exclude<SandboxOutcome<unknown>, { kind: 'ok' | 'refused' }>,
  limits: SandboxLimits,
): Verification {
  switch (outcome.kind) {
    case 'timeout':
      return failure(
        'VERIFICATION_TIMEOUT',
        `took over ${limits.timeoutMs / 1000} s; give it more with --timeout SECONDS`,
      );
    case 'memory':
      return failure(
        'VERIFICATION_OUT_OF_MEMORY',
        `took over ${Math.floor(limits.memoryBytes / MIB)} MiB; give it more with --memory MIB`,
      );
    case 'crashed':
      return failure('VERIFICATION_CRASHED', `${outcome.detail}; do not use this package`);
  }
}

function failure(code: PackageErrorCode, detail: string): Verification {
  return { ok: false, checks: [{ name: 'sandbox', ok: false, detail: `${code}: ${detail}` }], code };
}

function codeOf(code: string): PackageErrorCode {
  return PACKAGE_ERROR_CODES.find((known) => known === code) ?? 'VERIFICATION_CRASHED';
}
