import { fileURLToPath } from 'node:url';
import { Value } from '@sinclair/typebox/value';
import type { SandboxLimits, SandboxOutcome } from '@vigie/models/sandbox/outcome';
import { runSandboxed } from '@vigie/models/sandbox/sandboxed-process';
import { ReleaseDescriptor } from '@vigie/protocol';
import type { SandboxResult, VerifyArchive } from '../ports.js';

const SCRIPT = fileURLToPath(new URL('./package-sandbox-child.js', import.meta.url));

/** What a loaded model is refused for; everything else is a fault of the package. */
const MODEL_CODES = new Set([
  'MODEL_LOAD_FAILED',
  'MODEL_EXTERNAL_DATA',
  'MODEL_INPUT_MISMATCH',
  'MODEL_OUTPUT_MISMATCH',
  'ENGINE_UNSUPPORTED',
]);

/**
 * A package is a stranger's: its archive is unpacked and its model loaded in a child process with a time and a memory limit
 * and without the server's environment. Whatever happens there, the server answers with a code. Tests of the limits give
 * another `script`.
 */
export function packageSandbox(limits: SandboxLimits, script = SCRIPT): VerifyArchive {
  return async (archive, directory) =>
    resultOf(await runSandboxed({ script, limits, cwd: directory }, { archive, directory }), limits);
}

function resultOf(outcome: SandboxOutcome<unknown>, limits: SandboxLimits): SandboxResult {
  switch (outcome.kind) {
    case 'ok':
      // The child ran foreign bytes, so that what it says is checked like a message from the network.
      if (Value.Check(ReleaseDescriptor, outcome.value)) return { ok: true, descriptor: outcome.value };
      return { ok: false, code: 'VERIFICATION_CRASHED', detail: 'load and golden test gave no result' };
    case 'refused': {
      const { code: packageCode, message: detail } = outcome;
      if (packageCode === 'GOLDEN_MISMATCH') return { ok: false, code: packageCode, packageCode, detail };
      const code = MODEL_CODES.has(packageCode) ? 'MODEL_LOAD_FAILED' : 'PACKAGE_INVALID';
      return { ok: false, code, packageCode, detail };
    }
    case 'timeout':
      return {
        ok: false,
        code: 'VERIFICATION_TIMEOUT',
        detail: `load and golden test took over ${limits.timeoutMs / 1000} s`,
      };
    case 'memory':
      return {
        ok: false,
        code: 'VERIFICATION_OUT_OF_MEMORY',
        detail: `load and golden test took over ${Math.floor(limits.memoryBytes / 1024 / 1024)} MiB`,
      };
    case 'crashed':
      return { ok: false, code: 'VERIFICATION_CRASHED', detail: `load and golden test: ${outcome.detail}` };
  }
}
