import type { QuantizeReport } from './quantize-build.js';

/** Neighbouring layers that do not bear 8 bits: a network's rounding noise may come from a few of them nearly alone. */
export interface FloatBlock {
  /** In graph order. */
  layers: string[];
  /** Mean over the model's outputs of their signal to noise ratio, in dB: with all layers in INT8, with these in float. */
  before: number;
  after: number;
  /** Of the network's multiplications that these layers do, 0..1; undefined where the model's sizes do not follow from it. */
  share: number | undefined;
}

/** Signal and error of a tensor, summed up over any number of pictures. */
export interface NoiseSums {
  signal: number;
  noise: number;
}

/** Where nothing was rounded at all: JSON knows no infinity. */
const MOST_DECIBELS = 200;

export function addNoise(sums: NoiseSums, exact: ArrayLike<number>, approximate: ArrayLike<number>): void {
  let { signal, noise } = sums;
  for (let i = 0; i < exact.length; i++) {
    const error = exact[i] - approximate[i];
    signal += exact[i] * exact[i];
    noise += error * error;
  }
  sums.signal = signal;
  sums.noise = noise;
}

/** Signal to quantization noise ratio, 10 log10 (Σ x² / Σ (x − x̂)²), in dB, -200..200. */
export function decibels({ signal, noise }: NoiseSums): number {
  if (noise === 0) return MOST_DECIBELS;
  return Math.max(-MOST_DECIBELS, Math.min(MOST_DECIBELS, 10 * Math.log10(signal / noise)));
}

/** What two independent errors of the same signal come to together, in dB. */
export function combinedDecibels(a: number, b: number): number {
  return decibels({ signal: 1, noise: 10 ** (-a / 10) + 10 ** (-b / 10) });
}

/** A tensor that travels as 8 bits. */
export interface TensorQuality {
  name: string;
  /** What 8 bits hold. */
  min: number;
  max: number;
  scale: number;
  zeroPoint: number;
  /** Share of the values that lie outside, 0..1. */
  clipped: number;
  /** Of the float tensor, rounded and clipped by itself: what this tensor's scale alone costs. */
  ownSqnr: number;
  /** Of the INT8 model's tensor against the float model's: with everything that happened before. */
  sqnr: number | undefined;
}

/** A layer that computes in INT8. */
export interface LayerQuality {
  name: string;
  /** Its u8 result. */
  output: string;
  /** Of its weights. */
  weightSqnr: number;
  /** Of its weights and the rounding of its result together: what this layer alone costs. */
  ownSqnr: number;
  /** Of its result, with everything that happened before. */
  sqnr: number | undefined;
}

/** How well a model bears INT8, tensor by tensor. Signal to noise ratios in dB; worst first by `ownSqnr`. */
export interface LayerReport {
  /** Pictures measured on, and which. */
  pictures: number;
  measuredOn: string;
  outputs: { name: string; sqnr: number }[];
  layers: LayerQuality[];
  tensors: TensorQuality[];
}

export function worstFirst<T extends { ownSqnr: number }>(entries: readonly T[]): T[] {
  return [...entries].sort((a, b) => a.ownSqnr - b.ownSqnr);
}

/** One way back to float that `--max-drop` tried. */
export interface DropStep {
  /** Layers in float, worst first. */
  floatLayers: number;
  score: number;
  loss: number;
}

/** Layers that `--method auto` found to do most of the harm, and whether it left them in float. */
export interface BlockReport extends FloatBlock {
  taken: boolean;
}

/** What `--max-drop` did. */
export interface DropReport {
  /** E.g. `AP50 on 300 pictures of DATASET`. */
  metric: string;
  maxDrop: number;
  floatScore: number;
  score: number;
  loss: number;
  /** Layers that went back to float, worst first. */
  backToFloat: string[];
  /** In the order in which they were tried. */
  path: DropStep[];
}

/** What the file beside the model says. */
export interface FullReport extends QuantizeReport {
  file: string;
  inputLayout: 'NCHW' | 'NHWC';
  sha256: string;
  /** Why this method was taken, by `--method auto`. */
  methods?: { method: string; score: number }[];
  block?: BlockReport;
  maxDrop?: DropReport;
  quality?: LayerReport;
}

const ROWS = 20;

/** The report as Markdown: what was done, the worst layers and tensors (all of them are in the JSON form). */
export function reportMarkdown(report: FullReport): string {
  const { quality, maxDrop, methods, block } = report;
  const lines = [
    `# ${report.file}`,
    '',
    `Static INT8 for ${report.target}, input ${report.inputType}, calibrated by ${report.calibration} on ${report.pictures} pictures.`,
    `${report.bytesBefore} → ${report.bytesAfter} bytes; ${report.convolutions} layers in INT8, ` +
      `${report.floatConvolutions.length} in float; ${report.quantizedTensors} tensors of 8 bits.`,
    ...report.notes.map((note) => `- ${note}`),
  ];
  if (report.floatConvolutions.length > 0) lines.push('', `In float: ${report.floatConvolutions.map(code).join(', ')}`);
  if (methods) {
    lines.push('', '## Methods tried', '', '| method | outputs, dB |', '|---|---:|');
    lines.push(...methods.map(({ method, score }) => `| ${method} | ${score.toFixed(2)} |`));
  }
  if (block) lines.push('', '## Harmful block', '', blockText(block));
  if (maxDrop) lines.push('', ...dropMarkdown(maxDrop));
  if (quality) lines.push('', ...qualityMarkdown(quality));
  return `${lines.join('\n')}\n`;
}

/** One line: what these layers cost in INT8, and in float. */
export function blockText({ layers, before, after, share, taken }: BlockReport): string {
  const names = layers.map(code).join(', ');
  const cost = share === undefined ? 'an unknown share' : `${(100 * share).toFixed(1)} %`;
  const gain = `the outputs from ${before.toFixed(1)} to ${after.toFixed(1)} dB, at ${cost} of the multiplications`;
  if (taken) return `${names} left in float: brings ${gain}`;
  const way =
    share === undefined
      ? `to do so, exclude each by --exclude`
      : `to do so: --float-share ${(Math.ceil(100 * share) / 100).toFixed(2)}`;
  return `${names} in float would bring ${gain}; ${way}`;
}

function dropMarkdown(drop: DropReport): string[] {
  return [
    '## Layers back to float',
    '',
    `${drop.metric}: float ${drop.floatScore.toFixed(4)}, this model ${drop.score.toFixed(4)}, loss ${drop.loss.toFixed(4)} ` +
      `(allowed ${drop.maxDrop}).`,
    drop.backToFloat.length === 0 ? 'None had to go back.' : `Back: ${drop.backToFloat.map(code).join(', ')}`,
    '',
    '| layers in float | score | loss |',
    '|---:|---:|---:|',
    ...drop.path.map((s) => `| ${s.floatLayers} | ${s.score.toFixed(4)} | ${s.loss.toFixed(4)} |`),
  ];
}

function qualityMarkdown({ pictures, measuredOn, outputs, layers, tensors }: LayerReport): string[] {
  const db = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(1));
  return [
    '## Signal to quantization noise',
    '',
    `In dB, on ${pictures} ${measuredOn}. *Own*: what this layer or tensor alone costs; *all*: with everything before it.`,
    '',
    '| output | all |',
    '|---|---:|',
    ...outputs.map(({ name, sqnr }) => `| ${code(name)} | ${db(sqnr)} |`),
    '',
    `### Worst layers (${Math.min(ROWS, layers.length)} of ${layers.length})`,
    '',
    '| layer | weights | own | all |',
    '|---|---:|---:|---:|',
    ...layers.slice(0, ROWS).map((l) => `| ${code(l.name)} | ${db(l.weightSqnr)} | ${db(l.ownSqnr)} | ${db(l.sqnr)} |`),
    '',
    `### Worst tensors (${Math.min(ROWS, tensors.length)} of ${tensors.length})`,
    '',
    '| tensor | range | scale | clipped | own | all |',
    '|---|---|---:|---:|---:|---:|',
    ...tensors
      .slice(0, ROWS)
      .map(
        (t) =>
          `| ${code(t.name)} | ${t.min.toPrecision(4)} .. ${t.max.toPrecision(4)} | ${t.scale.toPrecision(4)} | ` +
          `${(100 * t.clipped).toFixed(3)} % | ${db(t.ownSqnr)} | ${db(t.sqnr)} |`,
      ),
  ];
}

/** Names come from the model: nothing in them may become markup. */
function code(name: string): string {
  return `\`${name.replace(/[`|\r\n]/g, '_')}\``;
}
