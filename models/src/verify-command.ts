import { Command } from 'commander';
import { runGoldenFrames } from './package/golden-test.js';
import { PackageError, type PackageErrorCode } from './package/package-error.js';
import { withPackage } from './package/package-path.js';
import { loadOnnxDetector } from './runtime/onnx-session.js';

interface Verification {
  ok: boolean;
  name?: string;
  version?: string;
  precision?: string;
  digest?: string;
  /** Bytes of all files. */
  bytes?: number;
  runtime?: string;
  checks: { name: string; ok: boolean; detail: string }[];
  code?: PackageErrorCode;
}

/** `vigie-models verify FILE|DIR`: exit 0 when every check held, 1 when one failed, 2 when there is nothing to check. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check a package: schema, sizes, digests, labels, that the model loads and finds its golden frames')
    .argument('<package>', 'a folder or a .vigie file')
    .option(
      '--json',
      'print one JSON document: {ok, name, version, precision, digest, bytes, runtime, checks: [{name, ok, detail}], code?}',
    )
    .addHelpText('after', '\nExit status: 0 every check held, 1 a check failed, 2 bad usage or nothing there.')
    .action(async (path: string, options: { json?: boolean }) => {
      const result = await verifyPackage(path);
      if (options.json) console.log(JSON.stringify(result));
      else
        for (const check of result.checks)
          console.log(`${check.ok ? 'ok    ' : 'FAILED'} ${check.name}: ${check.detail}`);
      if (!result.ok) process.exitCode = 1;
    });
}

async function verifyPackage(path: string): Promise<Verification> {
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
      const model = await loadOnnxDetector(directory, open);
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
