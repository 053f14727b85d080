import { runGoldenFrames } from '../package/golden-test.js';
import { PackageError, type PackageErrorCode } from '../package/package-error.js';
import { withPackage } from '../package/package-path.js';
import { loadModel } from '../runtime/load-model.js';

/** What `vigie-models verify` found; `--json` prints it. */
export interface Verification {
  ok: boolean;
  name?: string;
  version?: string;
  precision?: string;
  digest?: string;
  /** Bytes of all files. */
  bytes?: number;
  runtime?: string;
  checks: { name: string; ok: boolean; detail: string }[];
  /** Of the first check that failed. */
  code?: PackageErrorCode;
}

/**
 * Opens the package at `path` (a folder or a `.vigie` file), loads its model and runs its golden frames, in this process.
 * Throws PACKAGE_NOT_FOUND; everything else that is wrong with the package is a failed check.
 */
export async function verifyPackage(path: string): Promise<Verification> {
  const result: Verification = { ok: false, checks: [] };
  let stage = 'package';
  try {
    await withPackage(path, async (directory, open) => {
      const { manifest } = open;
      Object.assign(result, {
        name: manifest.name,
        version: manifest.version,
        precision: manifest.model.precision,
        digest: open.digest,
        bytes: open.files.reduce((sum, file) => sum + file.size, 0),
      });
      const summary = `${manifest.name} ${manifest.version} ${manifest.model.precision}, ${open.files.length} files, digest ${open.digest}`;
      result.checks.push({ name: stage, ok: true, detail: summary });
      stage = 'model';
      const model = await loadModel(directory, open);
      try {
        result.runtime = model.runtime;
        result.checks.push({ name: stage, ok: true, detail: `loads and runs in ${model.runtime}` });
        stage = 'golden';
        for (const { file, verdict } of await runGoldenFrames(directory, open, model)) {
          result.checks.push({
            name: `golden ${file}`,
            ok: verdict.ok,
            detail: verdict.ok ? 'as expected' : verdict.reason,
          });
          if (!verdict.ok) result.code = 'GOLDEN_MISMATCH';
        }
      } finally {
        await model.close();
      }
    });
  } catch (error) {
    // Nothing at the path is bad usage; a file that is missing inside the package is a verdict.
    if (!(error instanceof PackageError) || error.code === 'PACKAGE_NOT_FOUND') throw error;
    result.code = error.code;
    result.checks.push({ name: stage, ok: false, detail: `${error.code}: ${error.message}` });
  }
  result.ok = result.checks.every((check) => check.ok);
  return result;
}
