import { type DeclaredMetric, findMetric, METRIC_FAMILIES, type Metric } from './metrics.js';

export type Operator = '<' | '<=' | '>' | '>=';

/** What a rule asks for: `fps > 10`, or against the champion `latencyMs.p95 <= 1.05 * champion`, `ap >= champion - 0.01`. */
export interface Requirement {
  metric: Metric;
  operator: Operator;
  /** Against the champion's value c the limit is factor × c + offset; without one it is `offset`. */
  limit: { relative: false; offset: number } | { relative: true; factor: number; offset: number };
}

export type RequirementCode =
  | 'GATE_REQUIREMENT_SYNTAX'
  | 'GATE_METRIC_UNKNOWN'
  | 'GATE_UNIT_MISMATCH'
  | 'GATE_DIRECTION'
  | 'GATE_LIMIT_IMPOSSIBLE';

export type ParsedRequirement =
  | { ok: true; requirement: Requirement }
  | { ok: false; code: RequirementCode; detail: string };

const NUMBER = String.raw`([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)`;
const TIMES = String.raw`\s*[*x×]\s*`;
const SHAPE = /^\s*(\S+?)\s*(<=|>=|<|>|≤|≥)\s*(.+?)\s*$/;
const ABSOLUTE = new RegExp(`^(-?)${NUMBER}\\s*([A-Za-z%°]*)$`);
const RELATIVE = new RegExp(
  `^(?:${NUMBER}${TIMES})?champion(?:${TIMES}${NUMBER})?(?:\\s*([+-])\\s*${NUMBER}\\s*([A-Za-z%°]*))?$`,
);
const SCALES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ms: { ms: 1, s: 1000 },
  bytes: { bytes: 1, B: 1, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824, kB: 1e3, MB: 1e6, GB: 1e9 },
  FPS: { FPS: 1, fps: 1 },
  share: { '%': 0.01 },
  '°C': { C: 1, '°C': 1 },
};
const EXAMPLES = '"fps > 10", "latencyMs.p95 < 100 ms" or "latencyMs.p95 <= 1.05 * champion"';

/** Reads one requirement. What cannot be meant is refused here, so that an evaluation never meets it. */
export function parseRequirement(
  text: string,
  declared: Readonly<Record<string, DeclaredMetric>> = {},
): ParsedRequirement {
  const shape = SHAPE.exec(text);
  if (shape === null) return refuse('GATE_REQUIREMENT_SYNTAX', `"${text}" is no requirement; write ${EXAMPLES}`);
  const [, name, sign, right] = shape;
  const metric = findMetric(name, declared);
  if (metric === null) return refuse('GATE_METRIC_UNKNOWN', unknownMetric(name));
  const operator = sign.replace('≤', '<=').replace('≥', '>=') as Operator;
  const upward = operator.startsWith('>');
  if (metric.direction !== 'none' && (metric.direction === 'higher') !== upward) {
    const detail = `"${text}": ${name} is better when ${metric.direction}, so this would let the worse model pass; turn the sign round`;
    return refuse('GATE_DIRECTION', detail);
  }
  const limit = parseLimit(right, metric);
  if (limit === 'unit') {
    const units = Object.keys(SCALES[metric.unit] ?? {});
    const known = units.length === 0 ? 'takes no unit' : `is given in ${units.join(', ')}`;
    return refuse('GATE_UNIT_MISMATCH', `"${text}": ${name} ${known}; correct the unit or leave it out`);
  }
  if (limit === null)
    return refuse('GATE_REQUIREMENT_SYNTAX', `"${text}": "${right}" is no limit; write a requirement as ${EXAMPLES}`);
  const [least, most] = metric.range;
  const odd = limit.relative
    ? !Number.isFinite(limit.factor) || limit.factor <= 0 || !Number.isFinite(limit.offset)
    : !(limit.offset >= least && limit.offset <= most) || nothingCanFit(limit.offset, operator, metric);
  if (odd) {
    const what = limit.relative ? 'the factor must be above 0' : `${name} lies in ${least}..${most}`;
    return refuse('GATE_LIMIT_IMPOSSIBLE', `"${text}": ${what}, so nothing could ever fit; correct the limit`);
  }
  return { ok: true, requirement: { metric, operator, limit } };
}

/** The limit in the metric's unit; null where it depends on a champion's value that is not known. */
export function limitFor({ limit }: Requirement, champion: number | null): number | null {
  if (!limit.relative) return limit.offset;
  if (champion === null) return null;
  const value = limit.factor * champion + limit.offset;
  return Number.isFinite(value) ? value : null;
}

export function holds(value: number, operator: Operator, limit: number): boolean {
  if (operator === '<') return value < limit;
  if (operator === '<=') return value <= limit;
  return operator === '>' ? value > limit : value >= limit;
}

/** Back to text, in one spelling. */
export function printRequirement({ metric, operator, limit }: Requirement): string {
  if (!limit.relative) return `${metric.name} ${operator} ${limit.offset}`;
  const factor = limit.factor === 1 ? '' : `${limit.factor} * `;
  const offset = limit.offset === 0 ? '' : ` ${limit.offset < 0 ? '-' : '+'} ${Math.abs(limit.offset)}`;
  return `${metric.name} ${operator} ${factor}champion${offset}`;
}

function parseLimit(text: string, metric: Metric): Requirement['limit'] | 'unit' | null {
  const absolute = ABSOLUTE.exec(text);
  if (absolute !== null) {
    const scale = scaleOf(absolute[3], metric);
    if (scale === null) return 'unit';
    return { relative: false, offset: (absolute[1] === '-' ? -1 : 1) * Number(absolute[2]) * scale };
  }
  const relative = RELATIVE.exec(text);
  if (relative === null || (relative[1] !== undefined && relative[2] !== undefined)) return null;
  const scale = scaleOf(relative[5] ?? '', metric);
  if (scale === null) return 'unit';
  const offset = relative[4] === undefined ? 0 : (relative[3] === '-' ? -1 : 1) * Number(relative[4]) * scale;
  return { relative: true, factor: Number(relative[1] ?? relative[2] ?? 1), offset };
}

function scaleOf(unit: string, metric: Metric): number | null {
  if (unit === '' || unit === metric.unit) return 1;
  const scales = SCALES[metric.unit];
  return scales !== undefined && Object.hasOwn(scales, unit) ? scales[unit] : null;
}

function nothingCanFit(limit: number, operator: Operator, { range: [least, most] }: Metric): boolean {
  return (operator === '<' && limit <= least) || (operator === '>' && limit >= most);
}

function unknownMetric(name: string): string {
  const family = name.split('.')[0];
  if (family === 'latency' || (family === 'latencyMs' && !/\.(p50|p90|p95|p99|mean|max)$/.test(name)))
    return `"${name}" is no metric; write latencyMs.p50, latencyMs.p95, latencyMs.p99, latencyMs.mean or latencyMs.max`;
  return `"${name}" is no metric that Vigie knows; use one of ${METRIC_FAMILIES.join(', ')}, or declare your own under metrics:`;
}

function refuse(code: RequirementCode, detail: string): ParsedRequirement {
  return { ok: false, code, detail };
}
