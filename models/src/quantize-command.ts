import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { MANIFEST_FILE } from './package/limits.js';
import type { InputSpec } from './package/manifest.js';
import { parseManifest } from './package/manifest-file.js';
import type { QuantizeTarget } from './quantize/arithmetic.js';
import { inputTensors, listPictures } from './quantize/calibration-pictures.js';
import { type QuantizeReport, quantizeOnnx, readPictureModel } from './quantize/quantize-onnx.js';

interface Options {
  calibration: string;
  out: string;
  target: QuantizeTarget;
  quantile: number;
  headroom: number;
  color?: 'RGB' | 'BGR';
  mean?: number[];
  std?: number[];
  resize?: 'stretch' | 'letterbox';
  json?: boolean;
}

/** `vigie-models quantize FP32.onnx --calibration DIR --out INT8.onnx` */
export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('static INT8 (QDQ: u8 activations, s8 weights per channel) of an FP32 detector, opset 13 or newer')
    .argument(
      '<model>',
      'the FP32 .onnx file; a manifest.yaml beside it that names it tells how pixels become its input',
    )
    .requiredOption('--calibration <dir>', 'a folder of some 20 to 200 typical pictures')
    .requiredOption('--out <file>', 'the INT8 .onnx file to write; replaced when it exists')
    .addOption(
      new Option('--target <target>', 'portable: 7-bit weights, right on every processor; x64: 8-bit, needs VNNI')
        .choices(['portable', 'x64'])
        .default('portable'),
    )
    .option(
      '--quantile <share>',
      'share of the pictures whose extremes count; 1 is min-max; SiLU and depthwise networks want about 0.9',
      parseShare,
      1,
    )
    .option('--headroom <factor>', 'widens the measured ranges; for pictures tamer than real life', parseHeadroom, 1)
    .addOption(new Option('--color <order>', "channel order; default: the manifest's, or RGB").choices(['RGB', 'BGR']))
    .option('--mean <values>', "three numbers, subtracted; default: the manifest's, or 0,0,0", parseTriple)
    .option('--std <values>', "three numbers, divided by; default: the manifest's, or 1,1,1", parseDivisors)
    .addOption(new Option('--resize <how>', "default: the manifest's, or stretch").choices(['stretch', 'letterbox']))
    .option('--json', 'print the report as one JSON document')
    .addHelpText(
      'after',
      '\nThe INT8 model takes the picture as uint8, bytes as they are, when all channels share one std and one whole mean.',
    )
    .action(async (path: string, options: Options) => {
      const bytes = await readFile(path);
      const { name, width, height } = readPictureModel(bytes);
      const input = await inputOf(path, { name, width, height }, options);
      const pictures = await listPictures(options.calibration);
      const { bytes: out, report } = await quantizeOnnx(bytes, inputTensors(pictures, input), {
        target: options.target,
        scaling: { mean: input.mean ?? [0, 0, 0], std: input.std ?? [1, 1, 1] },
        quantile: options.quantile,
        headroom: options.headroom,
        onPicture: progress(pictures.length),
      });
      await writeWhole(options.out, out);
      if (options.json) console.log(JSON.stringify({ file: options.out, ...report }));
      else printReport(options.out, report);
    });
}

async function inputOf(
  path: string,
  model: Pick<InputSpec, 'name' | 'width' | 'height'>,
  options: Options,
): Promise<InputSpec> {
  const manifestPath = join(dirname(path), MANIFEST_FILE);
  const text = await readFile(manifestPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const manifest = text === undefined ? undefined : parseManifest(text);
  const known = manifest?.model.file === basename(path) ? manifest.input : undefined;
  const input: InputSpec = {
    ...known,
    ...model,
    layout: 'NCHW',
    dtype: 'float32',
    color: options.color ?? known?.color ?? 'RGB',
    mean: options.mean ?? known?.mean,
    std: options.std ?? known?.std,
    resize: options.resize ?? known?.resize ?? 'stretch',
  };
  process.stderr.write(
    `input "${input.name}" ${input.width}x${input.height} ${input.color} ${input.resize}, mean ${input.mean ?? 0}, ` +
      `std ${input.std ?? 1} (${known ? manifestPath : 'no manifest beside the model: defaults and options'})\n`,
  );
  return input;
}

/** One line that moves on a terminal; a line every tenth otherwise. */
function progress(total: number): (done: number) => void {
  return (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\rcalibrating ${done}/${total}${done === total ? '\n' : ''}`);
    else if (done === total || done % Math.ceil(total / 10) === 0) {
      process.stderr.write(`calibrating ${done}/${total}\n`);
    }
  };
}

/** Written beside the target and renamed: a full disk leaves no half model under the final name. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

function printReport(file: string, report: QuantizeReport): void {
  console.log(
    `${file}: ${report.bytesBefore} -> ${report.bytesAfter} bytes, target ${report.target}, input ${report.inputType}, ` +
      `${report.convolutions} convolutions in INT8, ${report.floatConvolutions.length} left in float, ` +
      `calibrated on ${report.pictures} pictures`,
  );
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== '' && share > 0 && share <= 1) return share;
  throw new InvalidArgumentError('give a share above 0, up to 1.');
}

function parseHeadroom(text: string): number {
  const factor = Number(text);
  if (text.trim() !== '' && factor >= 1 && factor <= 4) return factor;
  throw new InvalidArgumentError('give a factor from 1 to 4.');
}

function parseTriple(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (values.length === 3 && values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError('give three numbers, such as 123.7,116.3,103.5.');
}

function parseDivisors(text: string): number[] {
  const values = parseTriple(text);
  if (values.every((value) => value > 0)) return values;
  throw new InvalidArgumentError('give three numbers above 0, such as 58.4,57.1,57.4.');
}
