import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { unpackArchive } from '@vigie/models/package/archive';
import { describePackage } from '@vigie/models/package/descriptor';
import { runGoldenFrames } from '@vigie/models/package/golden-test';
import { PackageError, type PackageErrorCode } from '@vigie/models/package/package-error';
import { loadOnnxDetector } from '@vigie/models/runtime/onnx-session';
import type { SandboxResult } from '../ports.js';

/** `package-sandbox-child ARCHIVE DIRECTORY`: unpacks, loads, tests; writes one SandboxResult as JSON to stdout. */
const [archive, directory] = process.argv.slice(2);

const MODEL_CODES: readonly PackageErrorCode[] = [
  'MODEL_LOAD_FAILED',
  'MODEL_INPUT_MISMATCH',
  'MODEL_OUTPUT_MISMATCH',
  'ENGINE_UNSUPPORTED',
];

// A server that was killed cannot end this process, and native code may hold its main thread: another thread watches.
const WATCH = `setInterval(() => process.ppid === ${process.ppid} || process.kill(process.pid, 'SIGKILL'), 500)`;
new Worker(WATCH, { eval: true }).unref();

async function examine(): Promise<SandboxResult> {
  const open = await unpackArchive(await readFile(archive), directory);
  const descriptor = await describePackage(open, (path) => readFile(join(directory, path)));
  const model = await loadOnnxDetector(directory, open);
  const failed = (await runGoldenFrames(directory, open, model)).find(({ verdict }) => !verdict.ok);
  if (failed !== undefined && !failed.verdict.ok) {
    const detail = `golden frame ${failed.file}: ${failed.verdict.reason}; publish the golden detections that this model gives`;
    return { ok: false, code: 'GOLDEN_MISMATCH', packageCode: 'GOLDEN_MISMATCH', detail };
  }
  return { ok: true, descriptor };
}

async function main(): Promise<SandboxResult> {
  try {
    return await examine();
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    const code = MODEL_CODES.includes(error.code) ? 'MODEL_LOAD_FAILED' : 'PACKAGE_INVALID';
    return { ok: false, code, packageCode: error.code, detail: error.message };
  }
}

const result = await main();
process.stdout.write(JSON.stringify(result), () => process.exit(0));
