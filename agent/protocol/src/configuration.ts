import { createHash } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';
import { Sha256 } from './identifiers.js';

/** A zone, line or rule: letters, digits, `_ . -`, and blanks inside. */
const Name = Type.String({ pattern: '^[A-Za-z0-9_.-]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?$' });
const Label = Type.String({ minLength: 1, maxLength: 64 });
/** [x, y], each 0..1 of the picture, origin top left. */
const Point = Type.Array(Type.Number({ minimum: 0, maximum: 1 }), { minItems: 2, maxItems: 2, title: '[x, y]' });

function configurationSchema(options: { additionalProperties?: false }) {
  const Zone = Type.Object(
    { name: Name, polygon: Type.Array(Point, { minItems: 3, maxItems: 32 }) },
    { ...options, title: 'zone' },
  );
  const Line = Type.Object({ name: Name, from: Point, to: Point }, { ...options, title: 'line' });
  const EventRule = Type.Object(
    {
      name: Name,
      /** Only these; absent: every label of interest. */
      labels: Type.Optional(Type.Array(Label, { minItems: 1, maxItems: 16 })),
      /** While the object stands in this zone; absent: anywhere. */
      zone: Type.Optional(Name),
      /** The object has stood there for so long, s. */
      minSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 })),
      /** When the object crosses this line; then there is no `zone` and no `minSeconds`. */
      line: Type.Optional(Name),
      direction: Type.Optional(
        Type.Union([Type.Literal('left-to-right'), Type.Literal('right-to-left'), Type.Literal('either')]),
      ),
    },
    { ...options, title: 'rule' },
  );
  return Type.Object(
    {
      /** Labels of interest; absent: all that the model names. */
      labels: Type.Optional(Type.Array(Label, { minItems: 1, maxItems: 64 })),
      /** By label: score from which an object of it makes an event, 0..1. It can only raise what the model recommends. */
      thresholds: Type.Optional(
        Type.Record(Type.String({ maxLength: 64 }), Type.Number({ minimum: 0, maximum: 1 }), { maxProperties: 64 }),
      ),
      zones: Type.Optional(Type.Array(Zone, { maxItems: 32 })),
      lines: Type.Optional(Type.Array(Line, { maxItems: 32 })),
      rules: Type.Optional(Type.Array(EventRule, { maxItems: 32 })),
    },
    { ...options, title: 'configuration' },
  );
}

/** What a board looks for: rides in its desired state, is applied without a restart, and survives one. */
export const DeviceConfiguration = configurationSchema({});
export type DeviceConfiguration = Static<typeof DeviceConfiguration>;
/** The same as operators write it: unknown keys are refused, where a board must pass over those of a newer server. */
export const StrictDeviceConfiguration = configurationSchema({ additionalProperties: false });

/** A part of the picture. An object stands in it when the middle of its box's lower edge does. */
export type Zone = NonNullable<DeviceConfiguration['zones']>[number];
/** A line that objects cross: seen from `from` to `to` they come from its left or from its right. */
export type Line = NonNullable<DeviceConfiguration['lines']>[number];
/** What makes an event. With no rules at all, each believed object of interest makes one. */
export type EventRule = NonNullable<DeviceConfiguration['rules']>[number];

/** Largest configuration as JSON, bytes: a desired state with it stays under the limit of a message. */
export const MAX_CONFIGURATION_BYTES = 65_536;

export const CONFIGURATION_CODES = [
  /** The running model names no such label: what asks for it finds nothing. */
  'LABEL_UNKNOWN',
  /** A rule names a zone or line that is not there. */
  'PLACE_UNKNOWN',
  /** Two zones, lines or rules of one name. */
  'NAME_TWICE',
  /** A rule wants a line together with a zone, `minSeconds` without a place to stand, or a direction without a line. */
  'RULE_CONTRADICTORY',
  /** A line without length, or a zone without area. */
  'PLACE_EMPTY',
  'TOO_LARGE',
] as const;
export const ConfigurationCode = Type.Union(CONFIGURATION_CODES.map((code) => Type.Literal(code)));
export type ConfigurationCode = (typeof CONFIGURATION_CODES)[number];

/** What a board says of its configuration. */
export const ReportedConfiguration = Type.Object({
  /** Of the configuration that was asked for last: see `configurationDigest`. */
  digest: Sha256,
  /** It is in force and everything in it can be found by the running model. */
  ok: Type.Boolean(),
  code: Type.Optional(ConfigurationCode),
  message: Type.Optional(Type.String({ maxLength: 300 })),
});
export type ReportedConfiguration = Static<typeof ReportedConfiguration>;

export interface ConfigurationProblem {
  code: ConfigurationCode;
  message: string;
}

/** Why a configuration that fits the schema still makes no sense; null: it does. Server and board ask the same. */
export function configurationProblem(configuration: DeviceConfiguration): ConfigurationProblem | null {
  const { zones = [], lines = [], rules = [] } = configuration;
  const bytes = Buffer.byteLength(JSON.stringify(configuration));
  if (bytes > MAX_CONFIGURATION_BYTES)
    return { code: 'TOO_LARGE', message: `${bytes} bytes; at most ${MAX_CONFIGURATION_BYTES}` };
  for (const [kind, named] of Object.entries({ zones, lines, rules })) {
    const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) < index);
    if (twice !== undefined) return { code: 'NAME_TWICE', message: `${kind}: "${twice.name}" stands there twice` };
  }
  const flat = zones.find(({ polygon }) => polygonArea(polygon) < 1e-6);
  if (flat !== undefined) return { code: 'PLACE_EMPTY', message: `zone "${flat.name}" has no area` };
  const point = lines.find(({ from, to }) => Math.hypot(to[0] - from[0], to[1] - from[1]) < 1e-6);
  if (point !== undefined) return { code: 'PLACE_EMPTY', message: `line "${point.name}" has no length` };
  for (const rule of rules) {
    const problem = ruleProblem(rule, zones, lines);
    if (problem !== null) return problem;
  }
  return null;
}

function ruleProblem(rule: EventRule, zones: readonly Zone[], lines: readonly Line[]): ConfigurationProblem | null {
  const { name, zone, line, direction, minSeconds } = rule;
  const contradictory = (message: string) => ({
    code: 'RULE_CONTRADICTORY' as const,
    message: `rule "${name}": ${message}`,
  });
  if (line !== undefined && (zone !== undefined || minSeconds !== undefined))
    return contradictory('a crossing of a line has no zone and no minSeconds');
  if (direction !== undefined && line === undefined) return contradictory('a direction needs a line');
  if (zone !== undefined && !zones.some((one) => one.name === zone))
    return { code: 'PLACE_UNKNOWN', message: `rule "${name}": there is no zone "${zone}"` };
  if (line !== undefined && !lines.some((one) => one.name === line))
    return { code: 'PLACE_UNKNOWN', message: `rule "${name}": there is no line "${line}"` };
  return null;
}

/**
 * Every label that a configuration asks for, sorted: a model that lacks one of them cannot do what is wanted. A threshold asks for
 * nothing: it only holds back.
 */
export function neededLabels({ labels = [], rules = [] }: DeviceConfiguration): string[] {
  const named = [...labels, ...rules.flatMap((rule) => rule.labels ?? [])];
  return [...new Set(named)].sort();
}

/** Name of a configuration: SHA-256 of its JSON with sorted keys. */
export function configurationDigest(configuration: DeviceConfiguration): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(configuration)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, sorted(member)]));
}

/** Shoelace formula; shares of the picture. */
function polygonArea(polygon: readonly (readonly number[])[]): number {
  let doubled = 0;
  for (const [index, [x, y]] of polygon.entries()) {
    const [nextX, nextY] = polygon[(index + 1) % polygon.length];
    doubled += x * nextY - nextX * y;
  }
  return Math.abs(doubled) / 2;
}
