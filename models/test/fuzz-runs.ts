import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guessDecoders } from '../src/inspect/guess.js';
import { InspectError } from '../src/inspect/inspect-error.js';
import { onnxFacts } from '../src/inspect/onnx-facts.js';
import { packDirectory, readArchive } from '../src/package/archive.js';
import { guardOnnx } from '../src/package/onnx-guard.js';
import { PackageError } from '../src/package/package-error.js';
import { readPictureModel } from '../src/quantize/calibrate-model.js';
import { indexGraph } from '../src/quantize/graph-index.js';
import { planQuantization } from '../src/quantize/plan.js';
import { QuantizeError } from '../src/quantize/quantize-error.js';
import { SandboxedProcess } from '../src/sandbox/sandboxed-process.js';
import { seeded } from './fuzz-bytes.js';
import { mutateOnnx } from './fuzz-onnx.js';
import { mutatePackage, Tally } from './fuzz-support.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const ZOO = ['person-detector-fp32', 'person-detector-int8'].map((name) => join(here, '../zoo', name));
const MATERIAL = join(here, '../../../shared/material/models');
const THIRD_PARTY = [
  'ultraface_slim_320',
  'yolox_nano_416_coco',
  'nanodet_m_320_coco',
  'mobilenet_v2_imagenet_int8_qdq',
];
/** What runs in children is the built code, as everywhere. */
const CHILD = (name: string) => join(here, '../dist/sandbox', `${name}.js`);

/** Real ONNX files: the zoo's, and the third-party ones where they are at hand. */
export function realModels(): string[] {
  const others = THIRD_PARTY.map((name) => join(MATERIAL, `${name}.onnx`)).filter((path) => existsSync(path));
  if (others.length === 0) console.warn(`only the zoo's models are fuzzed: ${MATERIAL} is missing`);
  return [...ZOO.map((folder) => join(folder, 'model.onnx')), ...others];
}

export interface FuzzResult {
  tally: Tally;
  /** Anything that must not happen, with the index that brings it back. */
  faults: string[];
  /** Highest resident memory of the children, bytes. */
  childPeak: number;
  childStarts: number;
  slowestMs: number;
}

const fresh = (): FuzzResult => ({ tally: new Tally(), faults: [], childPeak: 0, childStarts: 0, slowestMs: 0 });

/** Notes how a mutation ended: a value, a coded error of one of `kinds`, or a fault. */
async function attempt(
  result: FuzzResult,
  label: string,
  work: () => unknown,
  kinds: readonly (new (...args: never[]) => Error)[],
): Promise<void> {
  const start = performance.now();
  try {
    await work();
    result.tally.add('accepted');
  } catch (error) {
    if (kinds.some((kind) => error instanceof kind)) result.tally.add((error as { code?: string }).code ?? 'no code');
    else {
      result.tally.add('FAULT');
      result.faults.push(
        `${label}: ${error instanceof Error ? error.stack?.split('\n').slice(0, 3).join(' ') : String(error)}`,
      );
    }
  }
  result.slowestMs = Math.max(result.slowestMs, performance.now() - start);
}

async function realPackages() {
  return Promise.all(
    ZOO.map(async (folder) => {
      const { bytes } = await packDirectory(folder);
      return { bytes, files: (await readArchive(bytes)).contents };
    }),
  );
}

/** (a) The package reader, in this process: nothing but PackageError may come out of it. */
export async function fuzzPackageReader(count: number, seed: number): Promise<FuzzResult> {
  const result = fresh();
  const packages = await realPackages();
  for (let index = 0; index < count; index++) {
    const random = seeded(seed + index);
    const { files, bytes } = packages[random(packages.length)];
    const mutation = mutatePackage(files, bytes, random);
    await attempt(result, `package ${seed + index} (${mutation.name})`, () => readArchive(mutation.bytes), [
      PackageError,
    ]);
  }
  return result;
}

/** (b) The protobuf parser and what reads models with it, in this process. */
export async function fuzzModelReaders(count: number, seed: number): Promise<FuzzResult> {
  const result = fresh();
  const models = realModels().map((path) => readFileSync(path));
  const readers: Record<string, (bytes: Buffer) => unknown> = {
    guard: (bytes) => guardOnnx(bytes, 'model.onnx'),
    inspect: (bytes) => guessDecoders(onnxFacts(bytes, 'model.onnx')),
    quantize: (bytes) => planQuantization(indexGraph(readPictureModel(bytes).model.graph)),
  };
  for (let index = 0; index < count; index++) {
    const random = seeded(seed + index);
    const mutation = mutateOnnx(models[random(models.length)], random);
    const names = Object.keys(readers);
    const name = names[index % names.length];
    const label = `model ${seed + index} (${mutation.name}, ${name})`;
    await attempt(result, label, () => readers[name](mutation.bytes), [PackageError, InspectError, QuantizeError]);
  }
  return result;
}

/** Memory and time of one job in a child; with what the libraries map, the process stays below 1 GB. */
export const FUZZ_LIMITS = { timeoutMs: 20_000, memoryBytes: 640 * 1024 * 1024 };

/** (c) ONNX Runtime, in a sandboxed child that is started anew when a mutation kills it: raw models and whole packages in turn. */
export async function fuzzSandbox(count: number, seed: number): Promise<FuzzResult> {
  const result = fresh();
  const scratch = await mkdtemp(join(tmpdir(), 'vigie-fuzz-'));
  const models = await Promise.all(realModels().map((path) => readFile(path)));
  const packages = await realPackages();
  const loader = new SandboxedProcess({ script: CHILD('load-child'), cwd: scratch, limits: FUZZ_LIMITS });
  const verifier = new SandboxedProcess({ script: CHILD('verify-child'), cwd: scratch, limits: FUZZ_LIMITS });
  try {
    for (let index = 0; index < count; index++) {
      const random = seeded(seed + index);
      const wholePackage = index % 2 === 1;
      const path = join(scratch, 'mutation');
      const { files, bytes: archive } = packages[random(packages.length)];
      const { bytes, name } = wholePackage
        ? mutatePackage(files, archive, random)
        : mutateOnnx(models[random(models.length)], random);
      await writeFile(path, bytes);
      const start = performance.now();
      const outcome = await (wholePackage ? verifier.run({ package: path }) : loader.run({ file: path }));
      result.slowestMs = Math.max(result.slowestMs, performance.now() - start);
      const verdict = outcome.kind === 'ok' && wholePackage ? (outcome.value as { code?: string }).code : undefined;
      result.tally.add(
        outcome.kind === 'ok' ? (verdict ?? 'accepted') : outcome.kind === 'refused' ? outcome.code : outcome.kind,
      );
      if (outcome.kind === 'crashed') console.warn(`contained: seed ${seed + index} (${name}): ${outcome.detail}`);
    }
  } finally {
    await Promise.all([loader.close(), verifier.close()]);
    await rm(scratch, { recursive: true, force: true });
  }
  result.childPeak = Math.max(loader.peakBytes, verifier.peakBytes);
  result.childStarts = loader.starts + verifier.starts;
  return result;
}

/** Highest resident memory of this process so far, bytes. */
export function peakOfThisProcess(): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return match === null ? 0 : Number(match[1]) * 1024;
}
