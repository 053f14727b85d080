import type { Comparison, ComparisonRow } from './comparison.js';

const HEAD = ['group', 'metric', 'unit', 'a', 'b', 'difference', 'ratio', 'better'] as const;

/** RFC 4180, with `a` and `b` named in the first row. */
export function comparisonCsv(comparison: Comparison): string {
  const [a, b] = names(comparison);
  const head = HEAD.map((column) => (column === 'a' ? a : column === 'b' ? b : column));
  const rows = comparison.rows.map((row) => HEAD.map((column) => row[column] ?? ''));
  return `${[head, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`;
}

/**
 * One cell. A program for tables takes text that begins with one of `= + - @`, a tab or a return for a formula, and what stands
 * there came from a stranger's package: an apostrophe before it keeps it text.
 */
export function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = /^[\s]*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function comparisonMarkdown(comparison: Comparison): string {
  const [a, b] = names(comparison).map(markdownCell);
  const { onlyA, onlyB } = comparison.labels;
  const list = (labels: readonly string[]) => labels.map(markdownCell).join(', ');
  const groups = new Map<string, ComparisonRow[]>();
  for (const row of comparison.rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  const tables = [...groups].map(([group, rows]) =>
    [
      `## ${markdownCell(group)}`,
      '',
      `| metric | ${a} | ${b} | difference | ratio | better |`,
      '|---|---:|---:|---:|---:|---|',
      ...rows.map((row) => {
        const unit = row.unit === '' ? '' : ` (${row.unit})`;
        const better = row.better === 'a' ? a : row.better === 'b' ? b : (row.better ?? '');
        const cells = [row.a, row.b, row.difference, row.ratio].map(rounded);
        return `| ${[markdownCell(row.metric + unit), ...cells, better].join(' | ')} |`;
      }),
    ].join('\n'),
  );
  const labels = [
    ...(onlyA.length === 0 ? [] : [`Labels only of ${a}: ${list(onlyA)}`]),
    ...(onlyB.length === 0 ? [] : [`Labels only of ${b}: ${list(onlyB)}`]),
  ];
  return `${[`# ${a} and ${b}`, ...labels, ...tables].join('\n\n')}\n`;
}

/** Text of strangers in a Markdown table: no new cell, no markup, no HTML. */
export function markdownCell(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, ' ')
    .replace(/[\\`*_{}[\]|~#!]/g, (sign) => `\\${sign}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function names({ a, b }: Comparison): [string, string] {
  return [`${a.name}@${a.version}`, `${b.name}@${b.version}`];
}

/** Five digits that count. */
function rounded(value: number | null): string {
  if (value === null) return '';
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}
