import type { BenchmarkResult } from '@vigie/protocol';

const PHASES = ['idle', 'telemetry', 'rollout'] as const;

/** Questions and duties by phase, for people. */
export function queryTable({ metrics }: BenchmarkResult): string {
  const figure = (name: string) => (metrics[name] === undefined ? '–' : metrics[name].toFixed(1));
  const phases = PHASES.filter((phase) => metrics[`${phase}.seconds`] !== undefined);
  const named = (pattern: RegExp) => [
    ...new Set(Object.keys(metrics).flatMap((name) => pattern.exec(name)?.[1] ?? [])),
  ];
  const questions = named(/^(?:idle|telemetry|rollout)\.(.+)\.p50$/);
  const duties = named(/^(?:idle|telemetry|rollout)\.duty\.(.+)\.meanMs$/);
  const others = Object.keys(metrics).filter((name) => !/\.(p50|p95|max|meanMs)$/.test(name));
  const lines = (head: string[], rows: string[][]) =>
    [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [
    ...lines(
      ['question, ms', ...phases.map((phase) => `${phase}: p50 / p95 / max`)],
      questions.map((name) => [
        name,
        ...phases.map((phase) => ['p50', 'p95', 'max'].map((part) => figure(`${phase}.${name}.${part}`)).join(' / ')),
      ]),
    ),
    '',
    ...lines(
      ['duty, ms of one round', ...phases],
      duties.map((name) => [name, ...phases.map((phase) => figure(`${phase}.duty.${name}.meanMs`))]),
    ),
    '',
    ...lines(
      ['figure', 'value'],
      others.map((name) => [name, figure(name)]),
    ),
    '',
  ].join('\n');
}
