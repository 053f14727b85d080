import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { MAX_SERIES_SAMPLES } from './benchmark-result.js';
import { parseRequirement, type RequirementCode } from './gate-requirement.js';
import { findMetric, METRIC_NAME } from './metrics.js';

const Strict = { additionalProperties: false } as const;
const HardwareClass = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' });
const OneOrMore = <T extends TSchema>(item: T) => Type.Array(item, { minItems: 1, maxItems: 64, uniqueItems: true });

/** Who vouches for a result: a token of the role `ci`, or a board of the role `lab`. */
export const EvidenceSource = Type.Union([Type.Literal('ci'), Type.Literal('lab')]);
export type EvidenceSource = Static<typeof EvidenceSource>;

/** Which results are meant; every part that is there must hold, and within one part any of its values. */
export const EvidenceFilter = Type.Object(
  {
    arch: Type.Optional(OneOrMore(Type.String({ minLength: 1, maxLength: 32 }))),
    hardwareClass: Type.Optional(OneOrMore(HardwareClass)),
    benchmark: Type.Optional(OneOrMore(Type.String({ minLength: 1, maxLength: 64 }))),
    source: Type.Optional(OneOrMore(EvidenceSource)),
  },
  { ...Strict, description: 'which results are meant; empty: all' },
);
export type EvidenceFilter = Static<typeof EvidenceFilter>;

export const GateRule = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'for verdicts; default: require' })),
    require: Type.String({
      minLength: 3,
      maxLength: 200,
      description: '`METRIC OPERATOR LIMIT`, such as `fps > 10` or `latencyMs.p95 <= 1.05 * champion`',
    }),
    on: Type.Optional(EvidenceFilter),
    minSamples: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 1,
      description: 'a result with fewer counts not',
    }),
    take: Type.Union([Type.Literal('newest'), Type.Literal('worst'), Type.Literal('median')], {
      default: 'newest',
      description: 'of several results of one platform and benchmark; over platforms the worst counts',
    }),
    confidence: Type.Optional(
      Type.Number({ minimum: 0.5, maximum: 0.9999, description: 'the whole interval must fit, 0.5..0.9999' }),
    ),
    minPairs: Type.Integer({
      minimum: 2,
      maximum: MAX_SERIES_SAMPLES,
      default: 10,
      description: 'with a confidence: least number of samples or pairs',
    }),
    withoutChampion: Type.Union([Type.Literal('inconclusive'), Type.Literal('pass')], {
      default: 'inconclusive',
      description: 'what a rule against the champion says while there is none, as for a first release',
    }),
  },
  Strict,
);
export type GateRule = Static<typeof GateRule>;

/** What a release must show before boards may install it. */
export const GatePolicy = Type.Object(
  {
    schema: Type.Literal('vigie.gate/1'),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: 'as certificates name it' }),
    description: Type.String({ maxLength: 500, default: '' }),
    models: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,63}$' }), {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description: 'names of models it judges; absent: all',
      }),
    ),
    metrics: Type.Record(
      Type.String({ maxLength: 64 }),
      Type.Object(
        {
          unit: Type.Optional(Type.String({ maxLength: 16 })),
          direction: Type.Union([Type.Literal('higher'), Type.Literal('lower'), Type.Literal('none')]),
          time: Type.Optional(Type.Boolean()),
        },
        Strict,
      ),
      { default: {}, maxProperties: 32, description: 'metrics of your own' },
    ),
    certifies: Type.Array(
      Type.Object(
        {
          evidence: EvidenceFilter,
          hardwareClasses: Type.Array(Type.String({ pattern: '^(\\*|[a-z0-9][a-z0-9-]{0,63})$' }), {
            minItems: 1,
            maxItems: 64,
            uniqueItems: true,
            description: 'what results of that kind certify; `*`: every class',
          }),
        },
        Strict,
      ),
      { minItems: 1, maxItems: 32 },
    ),
    rules: Type.Array(GateRule, { minItems: 1, maxItems: 64 }),
  },
  Strict,
);
export type GatePolicy = Static<typeof GatePolicy>;

export const GATE_POLICY_CODES = [
  'GATE_SHAPE',
  'GATE_UNKNOWN_KEY',
  'GATE_METRIC_NAME',
  'GATE_RULE_TWICE',
  'GATE_CLASS_TWICE',
  'GATE_CHAMPION_UNUSED',
  'GATE_CONFIDENCE_OF_WORST',
] as const;
export type GatePolicyCode = (typeof GATE_POLICY_CODES)[number] | RequirementCode;

export type ParsedGatePolicy =
  | { ok: true; policy: GatePolicy }
  | { ok: false; code: GatePolicyCode; field: string; detail: string };

/**
 * Checks a parsed YAML or JSON document and fills its defaults. A policy that is not understood to the last word is refused
 * here, when it is made: `detail` is one line that names field, value and way out.
 */
export function parseGatePolicy(document: unknown): ParsedGatePolicy {
  const value = Value.Default(GatePolicy, Value.Clone(document));
  const problem = Value.Errors(GatePolicy, value).First();
  if (problem !== undefined) {
    const field = problem.path.slice(1).replaceAll('/', '.') || '(whole document)';
    const shown = JSON.stringify(problem.value)?.slice(0, 80);
    if (problem.message === 'Unexpected property') {
      return refuse('GATE_UNKNOWN_KEY', field, `unknown key (value ${shown}); remove it or correct its spelling`);
    }
    return refuse('GATE_SHAPE', field, `${shown ?? 'nothing'} is not ${wanted(problem.schema, problem.message)}`);
  }
  const policy = value as GatePolicy;
  return checkMetrics(policy) ?? checkCertifies(policy) ?? checkRules(policy) ?? { ok: true, policy };
}

/** What a rule is called in verdicts. */
export function ruleName(rule: GateRule): string {
  return rule.name ?? rule.require;
}

function checkMetrics(policy: GatePolicy): ParsedGatePolicy | null {
  for (const name of Object.keys(policy.metrics)) {
    const field = `metrics.${name}`;
    if (!METRIC_NAME.test(name))
      return refuse(
        'GATE_METRIC_NAME',
        field,
        'is no name of a metric; use letters, digits, _ and -, with dots between',
      );
    if (findMetric(name) !== null)
      return refuse(
        'GATE_METRIC_NAME',
        field,
        'Vigie knows this metric already; remove it here or choose another name',
      );
  }
  return null;
}

function checkCertifies({ certifies }: GatePolicy): ParsedGatePolicy | null {
  const seen = new Set<string>();
  for (const [index, { hardwareClasses }] of certifies.entries()) {
    const twice = hardwareClasses.find((name) => seen.has(name));
    if (twice !== undefined) {
      const detail = `"${twice}" is certified by an earlier entry already; join their evidence or remove it here`;
      return refuse('GATE_CLASS_TWICE', `certifies.${index}.hardwareClasses`, detail);
    }
    for (const name of hardwareClasses) seen.add(name);
  }
  return null;
}

function checkRules(policy: GatePolicy): ParsedGatePolicy | null {
  const seen = new Set<string>();
  for (const [index, rule] of policy.rules.entries()) {
    const parsed = parseRequirement(rule.require, policy.metrics);
    if (!parsed.ok) return refuse(parsed.code, `rules.${index}.require`, parsed.detail);
    const name = ruleName(rule);
    if (seen.has(name)) {
      return refuse(
        'GATE_RULE_TWICE',
        `rules.${index}.name`,
        `"${name}" stands here twice; give this rule a name of its own`,
      );
    }
    seen.add(name);
    if (rule.withoutChampion === 'pass' && !parsed.requirement.limit.relative) {
      const detail = `"pass" has no meaning for "${rule.require}", which asks for no champion; remove it`;
      return refuse('GATE_CHAMPION_UNUSED', `rules.${index}.withoutChampion`, detail);
    }
    if (rule.take === 'worst' && rule.confidence !== undefined) {
      const detail = 'the worst of many results has no confidence; take newest or median, or remove confidence';
      return refuse('GATE_CONFIDENCE_OF_WORST', `rules.${index}.take`, detail);
    }
  }
  return null;
}

function wanted(schema: TSchema, message: string): string {
  const choices = schema.anyOf?.map((choice: TSchema) => JSON.stringify(choice.const)).join(', ');
  const described = schema.description === undefined ? '' : ` (${schema.description})`;
  if (choices !== undefined) return `one of ${choices}${described}; set one of them`;
  if (schema.const !== undefined) return `${JSON.stringify(schema.const)}; write that`;
  if (schema.minimum !== undefined) return `a number in ${schema.minimum}..${schema.maximum}${described}; set one`;
  if (schema.pattern !== undefined) return `a text like ${schema.pattern}${described}; set one`;
  return `right${described}: ${message[0].toLowerCase()}${message.slice(1)}; see docs/gates.md`;
}

function refuse(code: GatePolicyCode, field: string, detail: string): ParsedGatePolicy {
  return { ok: false, code, field, detail };
}
