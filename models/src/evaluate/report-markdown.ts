import { some } from './class-map.js';
import type { ClassificationMetrics } from './classification.js';
import type { CocoSummary } from './coco-ap.js';
import type { DetectorResult } from './detector-result.js';
import type { OperatingPoint } from './pr-curve.js';
import type { Spread } from './run-pictures.js';

/** What stands in every result.json, whatever the model does. */
export interface EvaluationHead {
  package: { name: string; version: string; precision: string; engine: string; digest: string; runtime: string };
  dataset: { path: string; format: string; pictures: number; objects: number; notes: string[] };
  settings: Record<string, number | string | null>;
  classes: {
    matched: { category: string; labels: string[] }[];
    unmatchedCategories: string[];
    unmatchedLabels: string[];
    notes: string[];
  };
  timing: { modelMs: Spread; detectMs: Spread; seconds: number; threads: number; cpu: string };
}
export type EvaluationResult =
  | (EvaluationHead & { kind: 'detection' } & DetectorResult)
  | (EvaluationHead & { kind: 'classification' } & ClassificationMetrics & { classNames: string[] });

/** COCO's names of the twelve figures. */
export const SUMMARY_TITLES: Readonly<Record<keyof CocoSummary, string>> = {
  ap: 'AP, IoU 0.50:0.95',
  ap50: 'AP, IoU 0.50',
  ap75: 'AP, IoU 0.75',
  apSmall: 'AP, small (area to 32²)',
  apMedium: 'AP, medium (32² to 96²)',
  apLarge: 'AP, large (from 96²)',
  ar1: 'AR, 1 detection a picture',
  ar10: 'AR, 10 detections a picture',
  ar100: 'AR, all detections',
  arSmall: 'AR, small',
  arMedium: 'AR, medium',
  arLarge: 'AR, large',
};

/** Classes of a confusion matrix that is still readable as a table. */
const MOST_CONFUSION_CLASSES = 20;

/** The result as Markdown: figures, how they came about, and what was left out. */
export function reportMarkdown(result: EvaluationResult): string {
  const { package: of, dataset, timing } = result;
  const lines = [
    `# ${inline(of.name)} ${of.version} (${of.precision}) on ${inline(dataset.path)}`,
    '',
    ...table(
      ['', ''],
      [
        ['package digest', of.digest],
        ['runtime', of.runtime],
        ['data set', `${dataset.format}, ${dataset.pictures} pictures, ${dataset.objects} objects`],
        ...Object.entries(result.settings).map(([key, value]) => [key, value === null ? 'none' : String(value)]),
        ['model, ms a picture', `p50 ${ms(timing.modelMs.p50)}, p95 ${ms(timing.modelMs.p95)}`],
        ['with pre- and postprocessing', `p50 ${ms(timing.detectMs.p50)}, p95 ${ms(timing.detectMs.p95)}`],
        ['measured on', `${timing.cpu}, ${timing.threads} thread${timing.threads === 1 ? '' : 's'}`],
      ],
    ),
    '',
    ...remarks(result),
    ...(result.kind === 'detection' ? detection(result) : classification(result)),
  ];
  return `${lines.join('\n')}\n`;
}

function remarks({ dataset, classes }: EvaluationHead): string[] {
  const notes = [...dataset.notes, ...classes.notes];
  const { unmatchedCategories, unmatchedLabels } = classes;
  if (unmatchedCategories.length > 0) {
    notes.push(`**not evaluated**, for the model has no such label: ${some(unmatchedCategories, 100)}`);
  }
  if (unmatchedLabels.length > 0) {
    notes.push(`labels that the data set does not know: ${some(unmatchedLabels, 100)}`);
  }
  return notes.length === 0 ? [] : [...notes.map((note) => `- ${inline(note)}`), ''];
}

function detection(result: EvaluationResult & { kind: 'detection' }): string[] {
  const { summary, categories, thresholds, bestF1 } = result;
  return [
    '## Average precision',
    '',
    'As pycocotools counts it; -1 where there was nothing to find.',
    '',
    ...table(
      ['figure', 'value'],
      Object.entries(SUMMARY_TITLES).map(([key, title]) => [title, figure(summary[key as keyof CocoSummary])]),
    ),
    '',
    '## Classes',
    '',
    ...table(
      [
        'class',
        'objects',
        'detections',
        'AP',
        'AP50',
        'AR',
        'best F1',
        'at threshold',
        "package's threshold",
        'precision',
        'recall',
      ],
      categories.map(({ name, truths, detections, summary: own, bestF1: best, atPackageThreshold: at }) => [
        name,
        String(truths),
        String(detections),
        figure(own.ap),
        figure(own.ap50),
        figure(own.ar100),
        best === undefined ? '' : figure(best.f1),
        best === undefined ? '' : figure(best.threshold),
        figure(at.threshold),
        figure(at.precision),
        figure(at.recall),
      ]),
    ),
    '',
    `## One threshold for all classes, IoU ${result.settings.iou}`,
    '',
    ...table(
      ['threshold', 'precision', 'recall', 'F1', 'right', 'wrong', 'missed'],
      [
        ...thresholds.map((point) => pointRow(point)),
        ...(bestF1 === undefined ? [] : [pointRow(bestF1, ' (best F1)')]),
      ],
    ),
    '',
    '![precision over recall](pr.png)',
  ];
}

function pointRow(point: OperatingPoint, remark = ''): string[] {
  const { threshold, precision, recall, f1, truePositives, falsePositives, falseNegatives } = point;
  const counts = [truePositives, falsePositives, falseNegatives].map(String);
  return [figure(threshold) + remark, figure(precision), figure(recall), figure(f1), ...counts];
}

function classification(result: EvaluationResult & { kind: 'classification' }): string[] {
  const { top1, topK, macro, perClass, confusion, classNames } = result;
  const lines = [
    '## Accuracy',
    '',
    ...table(
      ['figure', 'value'],
      [
        ['top 1', figure(top1)],
        [`top ${topK.k}`, figure(topK.accuracy)],
        ['precision, mean of classes', figure(macro.precision)],
        ['recall, mean of classes', figure(macro.recall)],
        ['F1, mean of classes', figure(macro.f1)],
      ],
    ),
    '',
    '## Classes',
    '',
    ...table(
      ['class', 'pictures', 'called so', 'precision', 'recall', 'F1'],
      perClass.map(({ support, predicted, precision, recall, f1 }, index) => [
        classNames[index],
        String(support),
        String(predicted),
        figure(precision),
        figure(recall),
        figure(f1),
      ]),
    ),
    '',
    '## Confusion',
    '',
  ];
  if (classNames.length > MOST_CONFUSION_CLASSES) return [...lines, `${classNames.length} classes: see result.json.`];
  return [
    ...lines,
    'Rows: what it is. Columns: what it was called.',
    '',
    ...table(
      ['', ...classNames, '(other)'],
      confusion.map((row, index) => [`**${classNames[index]}**`, ...row.map(String)]),
    ),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(inline).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)];
}

/** One line, and nothing that breaks out of a table's cell or into HTML. */
function inline(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;');
}

function figure(value: number): string {
  return value === -1 ? '-1' : value.toFixed(4);
}

function ms(value: number): string {
  return value.toFixed(1);
}
