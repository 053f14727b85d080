import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { ScoreCurve } from './coco-accumulate.js';
import type { DetectorResult } from './detector-result.js';
import { type ChartSeries, precisionRecallSvg } from './pr-chart.js';
import { precisionRecallPoints } from './pr-curve.js';
import { type EvaluationResult, reportMarkdown } from './report-markdown.js';

/** The chart of a detector: all classes together where there are several, then the classes with most objects. */
export function detectorChart(
  result: DetectorResult,
  curves: readonly ScoreCurve[],
  together: ScoreCurve,
  title: string,
  subtitle: string,
  iou: number,
): string {
  const series = result.categories.map(({ name, truths, summary, bestF1 }, index): ChartSeries & { truths: number } => {
    const ap = iou === 0.5 ? `AP50 ${summary.ap50.toFixed(3)}, ` : '';
    const detail =
      bestF1 === undefined ? 'nothing found' : `F1 ${bestF1.f1.toFixed(2)} at ${bestF1.threshold.toFixed(2)}`;
    return {
      truths,
      label: `${name.replaceAll('\n', ' ')}\n${ap}${detail}`,
      points: precisionRecallPoints(curves[index]),
      best: bestF1,
    };
  });
  series.sort((a, b) => b.truths - a.truths);
  const { bestF1 } = result;
  const all: ChartSeries = {
    label: `all classes${bestF1 === undefined ? '' : `\nF1 ${bestF1.f1.toFixed(2)} at ${bestF1.threshold.toFixed(2)}`}`,
    points: precisionRecallPoints(together),
    best: bestF1,
  };
  return precisionRecallSvg(title, subtitle, series.length > 1 ? [all, ...series] : series);
}

/** Writes result.json, report.md and, when there is a chart, pr.svg and pr.png into a folder, which is made. */
export async function writeResult(folder: string, result: EvaluationResult, svg?: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files: [string, string | Buffer][] = [
    ['result.json', `${JSON.stringify(result, null, 2)}\n`],
    ['report.md', reportMarkdown(result)],
  ];
  if (svg !== undefined) {
    files.push(['pr.svg', svg], ['pr.png', await sharp(Buffer.from(svg)).png({ compressionLevel: 9 }).toBuffer()]);
  }
  for (const [name, content] of files) await writeFile(join(folder, name), content);
  return files.map(([name]) => join(folder, name));
}
