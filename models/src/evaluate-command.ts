import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { benchmarkDocument, pairingOf } from './evaluate/benchmark-document.js';
import { some } from './evaluate/class-map.js';
import type { CocoSummary } from './evaluate/coco-ap.js';
import { type BoxDataset, DATASET_FORMATS, type Dataset, type DatasetOptions } from './evaluate/dataset.js';
import { type Evaluation, evaluatePackage } from './evaluate/evaluate-package.js';
import { hostPlatform } from './evaluate/host-platform.js';
import { openDataset } from './evaluate/open-dataset.js';
import { type EvaluationResult, SUMMARY_TITLES } from './evaluate/report-markdown.js';
import { writeResult } from './evaluate/write-result.js';
import { withPackage } from './package/package-path.js';

interface Options extends DatasetOptions {
  dataset?: string;
  data?: string;
  out?: string;
  json?: boolean;
  thresholdFloor: number;
  maxDets: number;
  iou: number;
  nmsIou?: number;
  topK: number;
  threads: number;
  classMap: Map<string, string>;
  saveDetections?: boolean;
  benchmark?: string;
  benchmarkName: string;
}

/** `vigie-models evaluate PACKAGE --dataset DIR` */
export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('judge a package on a data set: COCO average precision of a detector, accuracy of a classifier')
    .argument('<package>', 'a folder or a .vigie file')
    .option('--dataset <path>', 'COCO .json or its folder, YOLO folder or data.yaml, VOC folder, or a folder per class')
    .addOption(new Option('--data <path>', 'the same as --dataset').hideHelp())
    .addOption(new Option('--format <format>', 'what the data set is; guessed when absent').choices(DATASET_FORMATS))
    .option('--split <name>', 'part of the data set: val, test, train, ...; else the first of these that is there')
    .option('--images <dir>', "the pictures' folder, when it is not where the format expects it")
    .option('--labels <file>', 'class names, one a line, for YOLO folders without a data.yaml')
    .option('--limit <n>', 'take the first n pictures only', parseCount)
    .option(
      '--class-map <label=category>',
      'a label of the model stands for that category of the data set (repeatable); else equal names go together',
      collectPair,
      new Map<string, string>(),
    )
    .option('--threshold-floor <score>', 'lowest score asked of a detector, 0 to 1', parseShare, 0.001)
    .option('--max-dets <n>', 'detections that count per picture and class', parseCount, 100)
    .option('--iou <share>', 'overlap that counts as right in the precision/recall curve', parseOverlap, 0.5)
    .option('--nms-iou <share>', "overlap for suppression, instead of the manifest's", parseShare)
    .option('--top-k <n>', 'for a classifier: the right class is among its best n guesses', parseCount, 5)
    .option('--threads <n>', 'threads of the model', parseCount, 1)
    .option('--out <dir>', 'write result.json, report.md, pr.svg and pr.png there; the folder is made')
    .option('--save-detections', "also write detections.json there, in COCO's form of results")
    .option(
      '--benchmark <file>',
      'also write the figures as a document vigie.benchmark/1, for the gates of a fleet server',
    )
    .option(
      '--benchmark-name <name>',
      'what that measurement is called there; one name for each data set',
      parseName,
      'evaluate',
    )
    .option('--json', 'print the result as one JSON document')
    .action(async (path: string, options: Options, command: Command) => {
      const from = options.dataset ?? options.data;
      if (from === undefined) command.error("error: required option '--dataset <path>' not specified");
      if (options.saveDetections && options.out === undefined) command.error('error: --save-detections needs --out');
      const { evaluation, dataset } = await withPackage(path, async (directory, open) => {
        const dataset = await openDataset(from, options);
        if (dataset.pictures.length === options.limit)
          dataset.notes.push(`only the first ${options.limit} pictures (--limit)`);
        process.stderr.write(`${from}: ${dataset.format}, ${dataset.pictures.length} pictures\n`);
        const settings = { ...options, maxDetections: options.maxDets, onPicture: progress() };
        return { evaluation: await evaluatePackage(directory, open, dataset, from, settings), dataset };
      });
      const { result, svg } = evaluation;
      if (options.out !== undefined) {
        if (options.saveDetections) await saveDetections(options.out, dataset, evaluation);
        for (const file of await writeResult(options.out, result, svg)) process.stderr.write(`wrote ${file}\n`);
      }
      if (options.benchmark !== undefined) await saveBenchmark(options.benchmark, dataset, evaluation, options);
      if (options.json) console.log(JSON.stringify(result));
      else printResult(result);
    });
}

/** COCO's form: [{image_id, category_id, bbox, score}], readable by `COCO.loadRes` of pycocotools. */
async function saveDetections(folder: string, dataset: { kind: string }, { found }: Evaluation): Promise<void> {
  if (dataset.kind !== 'boxes' || found === undefined) return;
  const { pictures, categoryIds } = dataset as BoxDataset;
  const results = found.flatMap((detections, index) =>
    detections.map(({ category, score, box }) => ({
      image_id: pictures[index].id,
      category_id: categoryIds[category],
      bbox: box,
      score,
    })),
  );
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'detections.json'), `${JSON.stringify(results)}\n`);
}

/** What `vigie benchmark post` takes. */
async function saveBenchmark(
  file: string,
  dataset: Dataset,
  { result }: Evaluation,
  { benchmarkName: benchmark }: Options,
): Promise<void> {
  const platform = hostPlatform(result.package.runtime);
  const pairing = pairingOf(dataset, result);
  const document = benchmarkDocument(result, { benchmark, at: new Date(), platform, pairing });
  await writeFile(file, `${JSON.stringify(document, null, 2)}\n`);
  process.stderr.write(`wrote ${file}\n`);
}

/** One line that moves on a terminal; a line every tenth otherwise. */
function progress(): (done: number, total: number) => void {
  return (done, total) => {
    if (process.stderr.isTTY) process.stderr.write(`\revaluating ${done}/${total}${done === total ? '\n' : ''}`);
    else if (done === total || done % Math.ceil(total / 10) === 0)
      process.stderr.write(`evaluating ${done}/${total}\n`);
  };
}

function printResult(result: EvaluationResult): void {
  const { package: of, dataset, classes, timing } = result;
  console.log(
    `${of.name} ${of.version} (${of.precision}) on ${dataset.path}: ${dataset.pictures} pictures, ${dataset.objects} objects`,
  );
  for (const note of [...dataset.notes, ...classes.notes]) console.log(`  note: ${note}`);
  if (classes.unmatchedCategories.length > 0) {
    console.log(`  not evaluated, no such label: ${some(classes.unmatchedCategories, 20)}`);
  }
  if (classes.unmatchedLabels.length > 0) {
    const { unmatchedLabels } = classes;
    console.log(`  ${unmatchedLabels.length} labels that the data set does not know: ${some(unmatchedLabels, 6)}`);
  }
  if (result.kind === 'detection') {
    for (const [key, title] of Object.entries(SUMMARY_TITLES)) {
      console.log(`  ${title.padEnd(28)} ${result.summary[key as keyof CocoSummary].toFixed(4)}`);
    }
    for (const { name, summary, bestF1, atPackageThreshold: at } of result.categories.slice(0, 100)) {
      const best =
        bestF1 === undefined ? 'nothing found' : `best F1 ${bestF1.f1.toFixed(3)} at ${bestF1.threshold.toFixed(3)}`;
      console.log(
        `  ${name}: AP ${summary.ap.toFixed(4)}, AP50 ${summary.ap50.toFixed(4)}, ${best}; at ${at.threshold} ` +
          `precision ${at.precision.toFixed(3)}, recall ${at.recall.toFixed(3)}`,
      );
    }
  } else {
    const { top1, topK, macro } = result;
    console.log(`  top 1 ${top1.toFixed(4)}, top ${topK.k} ${topK.accuracy.toFixed(4)}`);
    console.log(
      `  mean of classes: precision ${macro.precision.toFixed(4)}, recall ${macro.recall.toFixed(4)}, F1 ${macro.f1.toFixed(4)}`,
    );
  }
  const { modelMs, seconds } = timing;
  console.log(
    `  model p50 ${modelMs.p50.toFixed(1)} ms, p95 ${modelMs.p95.toFixed(1)} ms a picture; all in ${seconds.toFixed(1)} s`,
  );
}

function collectPair(text: string, before: Map<string, string>): Map<string, string> {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1) throw new InvalidArgumentError('give LABEL=CATEGORY.');
  return new Map(before).set(text.slice(0, at), text.slice(at + 1));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('give a whole number from 1.');
}

function parseName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('give 1 to 64 letters, digits, ".", "_" or "-".');
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== '' && share >= 0 && share <= 1) return share;
  throw new InvalidArgumentError('give a number from 0 to 1.');
}

function parseOverlap(text: string): number {
  const overlap = parseShare(text);
  if (overlap > 0) return overlap;
  throw new InvalidArgumentError('give a number above 0, up to 1.');
}
