import { type Static, Type } from '@sinclair/typebox';
import { Selector } from '../devices/selector.js';

const Strict = { additionalProperties: false } as const;

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

interface Figure {
  unit: string;
  default: number;
  minimum: number;
  maximum: number;
}

interface RuleKindSpec {
  /** What it tells of. */
  about: string;
  /** What its alerts are about. */
  subject: 'device' | 'release' | 'rollout' | 'trust' | 'channel';
  threshold?: Figure;
  /** How long it must hold before the alert is raised. */
  minutes?: Figure;
}

const minutes = (value: number): Figure => ({ unit: 'minutes', default: value, minimum: 0, maximum: 43_200 });

/** Everything that can be watched for. */
export const RULE_KINDS = {
  'device-lost': { about: 'a board is offline', subject: 'device', minutes: { ...minutes(15), minimum: 1 } },
  'device-failed': { about: 'a board reports an error of its last install', subject: 'device', minutes: minutes(0) },
  'fps-low': {
    about: 'a board detects on fewer frames per second',
    subject: 'device',
    threshold: { unit: 'frames/s', default: 10, minimum: 0.01, maximum: 1000 },
    minutes: minutes(5),
  },
  'fps-drop': {
    about: "a board's frames per second fall by more than this share of its own hours before",
    subject: 'device',
    threshold: { unit: 'share', default: 0.3, minimum: 0.01, maximum: 0.99 },
    minutes: minutes(10),
  },
  'disk-low': {
    about: 'a board has less space left for its data',
    subject: 'device',
    threshold: { unit: 'MiB', default: 512, minimum: 1, maximum: 10_000_000 },
    minutes: minutes(0),
  },
  'temperature-high': {
    about: 'a board is hotter',
    subject: 'device',
    threshold: { unit: '°C', default: 80, minimum: 1, maximum: 150 },
    minutes: minutes(5),
  },
  drift: { about: "scores or box sizes of a board left the release's baseline", subject: 'device' },
  'certificate-expiry': {
    about: "a board's certificate ends in fewer days and was not renewed",
    subject: 'device',
    threshold: { unit: 'days', default: 14, minimum: 1, maximum: 3650 },
  },
  'gate-failed': { about: 'a gate did not let a release pass', subject: 'release' },
  'rollout-paused': { about: 'a rollout was paused, aborted or failed', subject: 'rollout' },
  'trust-expiry': {
    about: "TUF metadata or a certificate of the server's own ends in fewer days",
    subject: 'trust',
    threshold: { unit: 'days', default: 14, minimum: 1, maximum: 3650 },
  },
  'channel-failing': { about: 'a channel was switched off because nothing reached it', subject: 'channel' },
} as const satisfies Record<string, RuleKindSpec>;
export type RuleKind = keyof typeof RULE_KINDS;

/** Of these nothing says that they are over: they are when somebody has seen them. */
export const ENDED_BY_ACKNOWLEDGEMENT: readonly RuleKind[] = ['gate-failed', 'rollout-paused'];

export const RuleName = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'lower-case letters, digits and hyphens',
});

export const QuietTime = Type.Object(
  {
    from: Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$', description: 'HH:MM' }),
    to: Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$', description: 'HH:MM; before `from`: the next morning' }),
    timeZone: Type.String({ maxLength: 64, default: 'UTC', description: 'IANA name' }),
    days: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1, maximum: 7 }), {
        minItems: 1,
        maxItems: 7,
        uniqueItems: true,
        description: 'days on which it begins, 1 = Monday; all of them when absent',
      }),
    ),
  },
  { ...Strict, description: 'alerts are raised, but nobody is told before its end' },
);
export type QuietTime = Static<typeof QuietTime>;

/** What an operator asks for. */
export const RuleInput = Type.Object(
  {
    kind: Type.Union(
      Object.keys(RULE_KINDS).map((kind) => Type.Literal(kind as RuleKind)),
      { description: 'what is watched for' },
    ),
    selector: Type.Optional(Selector),
    threshold: Type.Optional(Type.Number({ description: "in the kind's unit; its default when absent" })),
    minutes: Type.Optional(Type.Number({ description: 'how long it must hold; the default of the kind when absent' })),
    severity: Type.Optional(
      Type.Union(
        SEVERITIES.map((severity) => Type.Literal(severity)),
        { default: 'warning' },
      ),
    ),
    channels: Type.Optional(Type.Array(RuleName, { maxItems: 16, description: 'who is told' })),
    quiet: Type.Optional(QuietTime),
    repeatMinutes: Type.Optional(
      Type.Integer({ minimum: 5, maximum: 43_200, description: 'told again while raised and not acknowledged' }),
    ),
    enabled: Type.Optional(Type.Boolean({ default: true })),
  },
  Strict,
);
export type RuleInput = Static<typeof RuleInput>;

/** A rule with everything filled in. */
export interface Rule {
  kind: RuleKind;
  selector: Selector;
  threshold: number | null;
  minutes: number;
  severity: Severity;
  channels: string[];
  quiet: QuietTime | null;
  repeatMinutes: number | null;
  enabled: boolean;
}

/** Fills defaults; a line that names field, value and way out when the rule makes no sense. */
export function completeRule(input: RuleInput): { ok: true; rule: Rule } | { ok: false; detail: string } {
  const spec: RuleKindSpec = RULE_KINDS[input.kind];
  for (const field of ['threshold', 'minutes'] as const) {
    const value = input[field];
    if (value === undefined) continue;
    const figure = spec[field];
    if (figure === undefined)
      return { ok: false, detail: `${field}: a rule of kind ${input.kind} has none; leave it out` };
    if (value < figure.minimum || value > figure.maximum) {
      const range = `${figure.minimum}..${figure.maximum} ${figure.unit}`;
      return { ok: false, detail: `${field}: ${value} is not in ${range}; leave it out for ${figure.default}` };
    }
  }
  if (input.selector !== undefined && spec.subject !== 'device')
    return { ok: false, detail: `selector: a rule of kind ${input.kind} is not about boards; leave it out` };
  if (input.quiet !== undefined && !isTimeZone(input.quiet.timeZone))
    return {
      ok: false,
      detail: `quiet.timeZone: "${input.quiet.timeZone}" is no IANA zone; write one such as Europe/Paris`,
    };
  return {
    ok: true,
    rule: {
      kind: input.kind,
      selector: input.selector ?? {},
      threshold: input.threshold ?? spec.threshold?.default ?? null,
      minutes: input.minutes ?? spec.minutes?.default ?? 0,
      severity: input.severity ?? 'warning',
      channels: [...new Set(input.channels ?? [])],
      quiet: input.quiet ?? null,
      repeatMinutes: input.repeatMinutes ?? null,
      enabled: input.enabled ?? true,
    },
  };
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** What a new server watches for; operators add channels, or remove them. */
export const FIRST_RULES: Record<string, RuleInput> = {
  'device-lost': { kind: 'device-lost' },
  'device-failed': { kind: 'device-failed' },
  'disk-low': { kind: 'disk-low' },
  drift: { kind: 'drift' },
  'certificate-expiry': { kind: 'certificate-expiry' },
  'gate-failed': { kind: 'gate-failed' },
  'rollout-paused': { kind: 'rollout-paused', severity: 'critical' },
  'trust-expiry': { kind: 'trust-expiry', severity: 'critical' },
  'channel-failing': { kind: 'channel-failing' },
};
