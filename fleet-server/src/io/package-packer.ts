import { fileURLToPath } from 'node:url';
import type { SandboxLimits } from '@vigie/models/sandbox/outcome';
import { runSandboxed } from '@vigie/models/sandbox/sandboxed-process';
import type { PackFolder } from '../services/mlflow-import.js';

const SCRIPT = fileURLToPath(new URL('./package-pack-child.js', import.meta.url));

/** Packs in a child process: the folder is a stranger's. */
export function packagePacker(limits: SandboxLimits): PackFolder {
  return async (directory, archive) => {
    const outcome = await runSandboxed({ script: SCRIPT, limits, cwd: directory }, { directory, archive });
    switch (outcome.kind) {
      case 'ok':
        return { ok: true };
      case 'refused':
        return { ok: false, code: 'PACKAGE_INVALID', detail: outcome.message };
      case 'timeout':
        return { ok: false, code: 'VERIFICATION_TIMEOUT', detail: 'packing took too long' };
      case 'memory':
        return { ok: false, code: 'VERIFICATION_OUT_OF_MEMORY', detail: 'packing took too much memory' };
      case 'crashed':
        return { ok: false, code: 'VERIFICATION_CRASHED', detail: `packing: ${outcome.detail}` };
    }
  };
}
