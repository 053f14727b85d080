import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { sha256Hex } from './package/digest.js';
import type { InputSpec } from './package/manifest.js';
import { type QuantizeTarget, WEIGHT_LIMIT } from './quantize/arithmetic.js';
import { CALIBRATION_METHODS, type CalibrationMethod, DEFAULT_PERCENTILE } from './quantize/calibrate-method.js';
import { readPictureModel } from './quantize/calibrate-model.js';
import { DEFAULT_FLOAT_SHARE } from './quantize/float-block.js';
import { toHalfWeights } from './quantize/fp16.js';
import { blockText, type FullReport, reportMarkdown } from './quantize/layer-report.js';
import { decodeModel, encodeModel } from './quantize/onnx-proto.js';
import { type InputOverrides, inputSpecOf, readManifestBeside } from './quantize/quantize-input.js';
import { runQuantize } from './quantize/quantize-run.js';
import { stepProgress } from './quantize-progress.js';

interface Options extends InputOverrides {
  calibration?: string;
  out: string;
  precision: 'int8' | 'fp16';
  target: QuantizeTarget;
  method: CalibrationMethod | 'auto';
  percentile?: number;
  quantile: number;
  headroom: number;
  input: 'auto' | 'uint8' | 'float32';
  layout: 'NCHW' | 'NHWC';
  floatShare: number;
  exclude: string[];
  report: string[];
  maxDrop?: number;
  data?: string;
  json?: boolean;
}

/** `vigie-models quantize FP32.onnx --calibration DIR --out INT8.onnx` */
export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('static INT8 (QDQ: 8-bit activations, s8 weights per channel) of an FP32 model, opset 7 or newer')
    .argument(
      '<model>',
      'the FP32 .onnx file; a manifest.yaml beside it that names it tells how pixels become its input',
    )
    .requiredOption('--out <file>', 'the .onnx file to write; replaced when it exists')
    .option('--calibration <dir>', 'a folder of some 20 to 200 typical pictures; needed for int8')
    .addOption(
      new Option(
        '--precision <precision>',
        'fp16: weights of 16 bits, half the file, the speed of FP32; no calibration',
      )
        .choices(['int8', 'fp16'])
        .default('int8'),
    )
    .addOption(
      new Option(
        '--target <target>',
        'portable: 7-bit weights, right on every processor; x64: 8-bit, needs VNNI; arm64: 8-bit, signed activations',
      )
        .choices(Object.keys(WEIGHT_LIMIT))
        .default('portable'),
    )
    .addOption(
      new Option(
        '--method <method>',
        'how ranges follow from the pictures; auto holds out every fifth picture and takes what comes nearest to FP32 on them',
      )
        .choices([...CALIBRATION_METHODS, 'auto'])
        .default('auto'),
    )
    .option(
      '--percentile <percent>',
      `percentile: share of the values kept (default: ${DEFAULT_PERCENTILE})`,
      parsePercent,
    )
    .option(
      '--float-share <share>',
      'auto: leaves neighbouring layers that do most of the harm in float when they do no more of the multiplications',
      parseLoss,
      DEFAULT_FLOAT_SHARE,
    )
    .option('--quantile <share>', 'minmax: share of the pictures whose extremes count; 1 is all', parseShare, 1)
    .option('--headroom <factor>', 'widens the ranges; for pictures tamer than real life', parseHeadroom, 1)
    .addOption(
      new Option(
        '--input <type>',
        'uint8: the picture’s bytes, scaling folded into the model; auto: uint8 where nothing must be folded',
      )
        .choices(['auto', 'uint8', 'float32'])
        .default('auto'),
    )
    .addOption(
      new Option('--layout <layout>', 'of the INT8 model’s input; NHWC: bytes as a decoder gives them, [1, H, W, 3]')
        .choices(['NCHW', 'NHWC'])
        .default('NCHW'),
    )
    .option('--exclude <node>', 'leave this node in float, by name; may be repeated', collect, [])
    .option(
      '--max-drop <loss>',
      'put layers back to float, worst first, until no more is lost than this, 0..1; those not needed go back to INT8',
      parseLoss,
    )
    .option(
      '--data <dataset>',
      'labels to judge --max-drop by (COCO, YOLO, VOC, a folder per class): AP50 or accuracy; without: agreement with ' +
        'the float model on held-out calibration pictures',
    )
    .option(
      '--report <file>',
      'write the report per layer (signal to noise, ranges) as .json or .md; may be repeated',
      collect,
      [],
    )
    .addOption(new Option('--color <order>', "channel order; default: the manifest's, or RGB").choices(['RGB', 'BGR']))
    .option('--mean <values>', "three numbers, subtracted; default: the manifest's, or 0,0,0", parseTriple)
    .option('--std <values>', "three numbers, divided by; default: the manifest's, or 1,1,1", parseDivisors)
    .addOption(new Option('--resize <how>', "default: the manifest's, or stretch").choices(['stretch', 'letterbox']))
    .option('--pad <value>', "letterbox: fill value, 0..255; default: the manifest's, or 0", parsePad)
    .addOption(
      new Option('--anchor <place>', "letterbox: where the picture stands; default: the manifest's, or center").choices(
        ['center', 'top-left'],
      ),
    )
    .option('--json', 'print the report as one JSON document')
    .addHelpText(
      'after',
      '\nThe INT8 model takes the picture as uint8, bytes as they are, when all channels share one std and one whole mean.',
    )
    .action(async (path: string, options: Options, command: Command) => {
      const reports = checkedReports(options.report, command);
      if (options.data !== undefined && options.maxDrop === undefined && reports.length === 0)
        command.error('error: --data goes with --max-drop or --report');
      if (options.layout === 'NHWC' && options.input === 'float32')
        command.error('error: --layout NHWC is for bytes; it does not go with --input float32');
      const bytes = await readFile(path);
      if (options.precision === 'fp16') {
        await writeHalf(path, bytes, options);
        return;
      }
      if (options.calibration === undefined)
        command.error("error: required option '--calibration <dir>' not specified");
      const report = await quantize(path, bytes, options.calibration!, options, reports.length > 0);
      for (const file of reports) {
        const text = file.endsWith('.md') ? reportMarkdown(report) : `${JSON.stringify(report, null, 2)}\n`;
        await writeWhole(file, Buffer.from(text));
      }
      if (options.json) console.log(JSON.stringify(report));
      else printReport(report);
    });
}

async function quantize(
  path: string,
  bytes: Buffer,
  calibration: string,
  options: Options,
  measure: boolean,
): Promise<FullReport> {
  const reading = await readManifestBeside(path);
  const known = reading?.manifest.input;
  const input = inputSpecOf(readPictureModel(bytes, Object.keys(known?.constants ?? {})), known, options);
  process.stderr.write(
    `input "${input.name}" ${input.width}x${input.height} ${input.color} ${howResized(input)}, mean ${input.mean ?? 0}, ` +
      `std ${input.std ?? 1} (${reading ? 'manifest.yaml beside the model' : 'no manifest beside the model: defaults and options'})\n`,
  );
  const { target, method, quantile, percentile, headroom, maxDrop, data, floatShare, layout: inputLayout } = options;
  // bytes in another order are bytes
  const inputType = inputLayout === 'NHWC' ? 'uint8' : options.input;
  const result = await runQuantize({
    ...{ modelPath: path, bytes, input, reading, calibration, target, method, quantile, percentile, headroom },
    ...{ maxDrop, data, measure, inputType, inputLayout, floatShare, exclude: new Set(options.exclude) },
    onProgress: stepProgress(),
  });
  await writeWhole(options.out, result.built.bytes);
  return {
    file: options.out,
    sha256: sha256Hex(result.built.bytes),
    ...result.built.report,
    inputLayout,
    methods: result.methods,
    block: result.block,
    maxDrop: result.drop,
    quality: result.quality,
  };
}

async function writeHalf(path: string, bytes: Buffer, options: Options): Promise<void> {
  const known = (await readManifestBeside(path))?.manifest.input.constants;
  readPictureModel(bytes, Object.keys(known ?? {}));
  // of the file as it is: no operator has to change for 16-bit weights
  const model = decodeModel(bytes);
  const { tensors, tooLarge } = toHalfWeights(model);
  const out = encodeModel(model);
  await writeWhole(options.out, out);
  const report = {
    file: options.out,
    precision: 'fp16',
    tensors,
    tooLarge,
    bytesBefore: bytes.length,
    bytesAfter: out.length,
  };
  if (options.json) console.log(JSON.stringify({ ...report, sha256: sha256Hex(out) }));
  else {
    const left = tooLarge.length > 0 ? `, ${tooLarge.length} left in FP32 (values beyond 65504)` : '';
    console.log(`${options.out}: ${bytes.length} -> ${out.length} bytes, ${tensors} weight tensors in FP16${left}`);
  }
}

/** Written beside the target and renamed: a full disk leaves no half file under the final name. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

function printReport(report: FullReport): void {
  for (const note of report.notes) console.log(note);
  const back = report.maxDrop?.backToFloat.length ?? 0;
  if (report.methods)
    console.log(
      `methods, dB at the outputs: ${report.methods.map((m) => `${m.method} ${m.score.toFixed(1)}`).join(', ')}`,
    );
  if (report.block) console.log(blockText(report.block));
  if (report.maxDrop) {
    const { metric, floatScore, score, backToFloat } = report.maxDrop;
    console.log(`${metric}: float ${floatScore.toFixed(4)}, this model ${score.toFixed(4)}`);
    if (back > 0) console.log(`back to float: ${backToFloat.join(', ')}`);
  }
  const worst = report.quality?.layers.slice(0, 5).map((l) => `${l.name} ${l.ownSqnr.toFixed(1)}`);
  if (worst) console.log(`worst layers, dB by themselves: ${worst.join(', ')}`);
  console.log(
    `${basename(report.file)}: ${report.bytesBefore} -> ${report.bytesAfter} bytes, target ${report.target}, input ` +
      `${report.inputType}, ${report.convolutions} layers in INT8, ${report.floatConvolutions.length} left in float, ` +
      `calibrated by ${report.calibration} on ${report.pictures} pictures`,
  );
}

function howResized({ resize, anchor, pad }: InputSpec): string {
  return resize === 'letterbox' ? `letterbox ${anchor ?? 'center'}, pad ${pad ?? 0}` : resize;
}

function checkedReports(files: string[], command: Command): string[] {
  const wrong = files.find((file) => !/\.(json|md)$/.test(file));
  if (wrong !== undefined) command.error(`error: --report ${wrong}: give a name that ends in .json or .md`);
  return files;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== '' && share > 0 && share <= 1) return share;
  throw new InvalidArgumentError('give a share above 0, up to 1.');
}

function parsePercent(text: string): number {
  const percent = Number(text);
  if (text.trim() !== '' && percent >= 50 && percent <= 100) return percent;
  throw new InvalidArgumentError('give percent from 50 to 100, such as 99.99.');
}

function parseLoss(text: string): number {
  const loss = Number(text);
  if (text.trim() !== '' && loss >= 0 && loss <= 1) return loss;
  throw new InvalidArgumentError('give a loss from 0 to 1, such as 0.01 for one point.');
}

function parseHeadroom(text: string): number {
  const factor = Number(text);
  if (text.trim() !== '' && factor >= 1 && factor <= 4) return factor;
  throw new InvalidArgumentError('give a factor from 1 to 4.');
}

function parsePad(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0 && value <= 255) return value;
  throw new InvalidArgumentError('give a whole number from 0 to 255.');
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
