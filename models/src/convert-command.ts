import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { stringify } from 'yaml';
import { compareEngines, type EngineComparison } from './convert/compare-engines.js';
import { ConvertError } from './convert/convert-error.js';
import { convertOnnx } from './convert/convert-onnx.js';
import { convertedManifest } from './convert/converted-manifest.js';
import { MODEL_FILE, tfjsModelFiles } from './convert/tfjs-model-files.js';
import type { WeightFormat } from './convert/weight-file.js';
import { sha256Hex } from './package/digest.js';
import { MANIFEST_FILE } from './package/limits.js';
import { parseManifest } from './package/manifest-file.js';
import { type OpenPackage, openPackageDirectory } from './package/package.js';
import { PackageError } from './package/package-error.js';

interface Options {
  out: string;
  weights: WeightFormat;
  check: boolean;
  json?: boolean;
}

/** Share of the largest value by which float32 arithmetic in another order may differ. */
const ROUNDING = 1e-3;

/** `vigie-models convert MODEL.onnx --to tfjs --out DIR` */
export function convertCommand(): Command {
  return new Command('convert')
    .description('convert an FP32 ONNX network with one picture input into a TensorFlow.js graph model')
    .argument('<model>', 'the .onnx file; when a manifest.yaml beside it names it, the whole package is converted')
    .addOption(new Option('--to <engine>', 'the form to convert to').choices(['tfjs']).makeOptionMandatory())
    .requiredOption('--out <dir>', 'folder to write to; must be new or empty')
    .addOption(
      new Option('--weights <format>', 'how weights are stored; the arithmetic stays float32')
        .choices(['float32', 'float16', 'uint8'])
        .default('float32'),
    )
    .option('--no-check', 'do not run both models on one picture and compare')
    .option('--json', 'print one JSON document: {directory, files, nodes, bytes, package, runtime?, outputs?}')
    .addHelpText(
      'after',
      '\nThe converted model takes [1, height, width, 3], scaled as the manifest says, and gives the same outputs.\n' +
        'What can be converted: docs/engines.md.',
    )
    .action(async (path: string, options: Options) => {
      const onnx = await readFile(path);
      const source = await packageAround(path);
      const graph = convertOnnx(onnx);
      const files = tfjsModelFiles(graph, options.weights);
      await makeEmpty(options.out);
      for (const [name, bytes] of files) await writeWhole(join(options.out, name), bytes);
      let comparison: EngineComparison | undefined;
      if (options.check) {
        process.stderr.write('comparing with ONNX Runtime on one picture\n');
        comparison = await compareEngines(onnx, graph, options.out, files, source?.manifest.input);
        refuseDifference(comparison, options.weights);
      }
      if (source !== undefined) {
        const sha256 = sha256Hex(files.get(MODEL_FILE)!);
        await writePackage(
          dirname(path),
          source,
          options,
          convertedManifest(source.manifest, {
            file: MODEL_FILE,
            sha256,
            weights: options.weights,
            input: graph.input,
          }),
        );
      }
      report(options, {
        directory: options.out,
        files: [...files.keys()],
        nodes: graph.nodes.length,
        bytes: [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0),
        package: source !== undefined,
        ...comparison,
      });
    });
}

/** The package whose model this file is; undefined when there is no manifest, or it names another file. */
async function packageAround(path: string): Promise<OpenPackage | undefined> {
  const text = await readFile(join(dirname(path), MANIFEST_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined || parseManifest(text).model.file !== basename(path)) return undefined;
  return openPackageDirectory(dirname(path));
}

async function makeEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length === 0) return;
  throw new PackageError('TARGET_NOT_EMPTY', `folder ${directory} is not empty; name a new or empty one`);
}

/** Labels, golden frames, licence: all but the model and the manifest, which are new. The manifest comes last. */
async function writePackage(
  from: string,
  { files, manifest: old }: OpenPackage,
  { out }: Options,
  manifest: OpenPackage['manifest'],
): Promise<void> {
  const written = new Set(await readdir(out));
  for (const { path } of files) {
    if (path === MANIFEST_FILE || path === old.model.file || written.has(path)) continue;
    await mkdir(dirname(join(out, path)), { recursive: true });
    await copyFile(join(from, path), join(out, path));
  }
  await writeWhole(join(out, MANIFEST_FILE), Buffer.from(stringify(manifest, { lineWidth: 120 })));
}

async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${file}.partial`, bytes);
  await rename(`${file}.partial`, file);
}

function refuseDifference({ outputs, runtime }: EngineComparison, weights: WeightFormat): void {
  // Smaller weights differ by what they leave out; golden frames judge them.
  if (weights !== 'float32') return;
  const worst = outputs.reduce((a, b) => (b.difference > a.difference ? b : a));
  if (worst.difference <= ROUNDING) return;
  throw new ConvertError(
    'RESULT_DIFFERS',
    `output "${worst.name}" differs by ${(100 * worst.difference).toPrecision(3)} % of its range between ONNX Runtime and ` +
      `${runtime}; report the model, or look with --no-check`,
  );
}

interface Report extends Partial<EngineComparison> {
  directory: string;
  files: string[];
  nodes: number;
  bytes: number;
  /** Whether a manifest was written. */
  package: boolean;
}

function report(options: Options, result: Report): void {
  if (options.json) {
    console.log(JSON.stringify(result));
    return;
  }
  const megabytes = (result.bytes / 1e6).toFixed(2);
  console.log(
    `${result.directory}: ${result.files.join(', ')}, ${result.nodes} nodes, ${megabytes} MB, weights ${options.weights}`,
  );
  for (const { name, difference } of result.outputs ?? []) {
    console.log(
      `  ${name}: differs by ${difference.toExponential(1)} of its range from ONNX Runtime (${result.runtime})`,
    );
  }
  console.log(
    result.package
      ? `a package: vigie-models verify ${result.directory}`
      : 'no manifest.yaml beside the model names it: write one (vigie-models inspect helps) to make a package of it',
  );
}
