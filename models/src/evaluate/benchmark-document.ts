import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { BenchmarkResult } from '@vigie/protocol';
import type { CocoSummary } from './coco-ap.js';
import type { Dataset } from './dataset.js';
import type { EvaluationResult } from './report-markdown.js';

/** The figures of COCO's summary that gates know (docs/gates.md). */
const SUMMARY: readonly (keyof CocoSummary)[] = [
  ...(['ap', 'ap50', 'ap75', 'apSmall', 'apMedium', 'apLarge', 'ar1', 'ar10', 'ar100'] as const),
];
/** Of `vigie.benchmark/1`: metrics in one document, and characters of a metric's name. */
const MOST_METRICS = 256;
const LONGEST_NAME = 64;
/** What a part of a metric's name may hold. */
const PART = /^[A-Za-z0-9_ -]+$/;

export interface BenchmarkDocumentSettings {
  /** Name of the measurement: gates and comparisons tell data sets apart by it. */
  benchmark: string;
  at: Date;
  platform: BenchmarkResult['platform'];
  /** As `pairingOf` makes it. */
  pairing: string;
}

/**
 * What an evaluation found as a document `vigie.benchmark/1`, which the server's gates judge (`POST /api/v1/benchmarks`). Shares
 * 0..1; −1, COCO's word for "nothing to find", stays, and no gate passes by it. No times: the pictures are decoded in between,
 * so they would say too little about a board. Figures of single classes have its name at the end (`ap50.person`), those with
 * the most objects first, as many as the document may hold; a class whose name no metric can hold is left out.
 */
export function benchmarkDocument(result: EvaluationResult, settings: BenchmarkDocumentSettings): BenchmarkResult {
  const { name, version, digest } = result.package;
  const all = [...overall(result), ...classes(result)];
  return {
    ...{ schema: 'vigie.benchmark/1', benchmark: settings.benchmark, at: settings.at.toISOString() },
    release: { name, version, digest },
    platform: settings.platform,
    samples: result.dataset.pictures,
    metrics: Object.fromEntries(all.slice(0, MOST_METRICS).map(([metric, value]) => [metric, rounded(value)])),
    pairing: settings.pairing,
  };
}

/** One name for the same pictures with the same truth, judged in the same way: only such results compare. */
export function pairingOf(
  { format, categories, ...dataset }: Dataset,
  { settings, classes }: Pick<EvaluationResult, 'settings' | 'classes'>,
): string {
  // The overlap for suppression is the model's own affair, not how it is judged.
  const { nmsIou: _, ...judged } = settings;
  const matched = classes.matched.map(({ category }) => category);
  const hash = createHash('sha256').update(JSON.stringify([format, categories, judged, matched]));
  for (const { file, ...truth } of dataset.pictures) hash.update(JSON.stringify([basename(file), truth]));
  return `dataset-${hash.digest('hex').slice(0, 32)}`;
}

type Figure = [metric: string, value: number];

function overall(result: EvaluationResult): Figure[] {
  if (result.kind === 'detection') return SUMMARY.map((metric) => [metric, result.summary[metric]]);
  const { top1, topK, macro } = result;
  return [['accuracy', top1], [`accuracy.top${topK.k}`, topK.accuracy], ...points('', macro)];
}

function classes(result: EvaluationResult): Figure[] {
  if (result.kind === 'detection') {
    const byObjects = [...result.categories].sort((a, b) => b.truths - a.truths);
    return byObjects
      .filter(({ name }) => named(name))
      .flatMap(({ name, summary, atPackageThreshold: at }): Figure[] => [
        [`ap.${name}`, summary.ap],
        [`ap50.${name}`, summary.ap50],
        ...points(`.${name}`, at),
      ]);
  }
  return result.classNames
    .map((name, index) => ({ name, figures: result.perClass[index] }))
    .filter(({ name }) => named(name))
    .sort((a, b) => b.figures.support - a.figures.support)
    .flatMap(({ name, figures }) => points(`.${name}`, figures));
}

/** Precision, recall and F1: of a detector at the package's own threshold. */
function points(part: string, { precision, recall, f1 }: { precision: number; recall: number; f1: number }): Figure[] {
  return [
    [`precision${part}`, precision],
    [`recall${part}`, recall],
    [`f1${part}`, f1],
  ];
}

const named = (name: string) => PART.test(name) && `precision.${name}`.length <= LONGEST_NAME;
const rounded = (value: number) => Math.round(value * 1e6) / 1e6;
