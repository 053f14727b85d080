import { type Static, type TOptional, type TProperties, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { DeliveryPolicy, Instant, ModelName, SemanticVersion, ShadowPolicy, TrialPolicy } from '@vigie/protocol';
import { Selector } from '../devices/selector.js';

const Strict = { additionalProperties: false } as const;
const Share = Type.Number({ minimum: 0, maximum: 1 });
const DAY = 86_400;

const ReleaseName = Type.Object({ name: ModelName, version: SemanticVersion }, Strict);

/** How many boards a wave holds. A share counts all selected boards, those of the waves before it included. */
export const WaveSize = Type.Union([
  Type.Object({ count: Type.Integer({ minimum: 1, maximum: 1_000_000 }) }, Strict),
  Type.Object({ share: Type.Number({ exclusiveMinimum: 0, maximum: 1 }) }, Strict),
]);
export type WaveSize = Static<typeof WaveSize>;

/** From how many failed boards on a wave is broken. Only failures that speak against the release count. */
export const ErrorLimit = Type.Object(
  {
    /** More failed boards than this. */
    count: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    /** A larger share of the judged boards than this. */
    share: Type.Optional(Share),
    /** The share counts from so many judged boards on, or when no more are to come. */
    minimum: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 10 }),
  },
  Strict,
);
export type ErrorLimit = Static<typeof ErrorLimit>;

export const Wave = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64 }),
    size: WaveSize,
    /** Share of the judged (reached) boards that must have proved success. */
    successShare: Type.Number({ minimum: 0, maximum: 1, default: 0.95 }),
    errors: ErrorLimit,
    /** Share of the wave's boards that must have been reached and judged before the wave can pass. */
    minReachedShare: Type.Number({ minimum: 0, maximum: 1, default: 0.5 }),
    /** How long the wave is watched after its boards have settled, s. */
    soakSeconds: Type.Integer({ minimum: 0, maximum: 30 * DAY, default: 60 }),
    /** From its opening to its last board, s, closed windows not counted; then it is judged as it stands. */
    deadlineSeconds: Type.Integer({ minimum: 10, maximum: 90 * DAY, default: DAY }),
    /** Who must say yes before it opens: nobody, anybody, or somebody else than the one who made the rollout. */
    approval: Type.Union([Type.Literal('none'), Type.Literal('anyone'), Type.Literal('second-person')], {
      default: 'none',
    }),
  },
  Strict,
);
export type Wave = Static<typeof Wave>;

export const LIVE_METRICS = [
  'fps',
  'latencyMs.p50',
  'latencyMs.p95',
  'latencyMs.p99',
  'detections',
  'temperatureC',
] as const;
export const LiveMetric = Type.Union(LIVE_METRICS.map((name) => Type.Literal(name)));
export type LiveMetric = (typeof LIVE_METRICS)[number];

/**
 * What live figures of the wave's boards must hold at the end of its soak. `ratio`: after over before, paired per board;
 * `value`: the mean over the boards. With `confidence` the bound must hold for that confidence interval.
 */
export const LiveGate = Type.Object(
  {
    metric: LiveMetric,
    of: Type.Union([Type.Literal('ratio'), Type.Literal('value')]),
    min: Type.Optional(Type.Number()),
    max: Type.Optional(Type.Number()),
    confidence: Type.Number({ minimum: 0.5, maximum: 0.999, default: 0.95 }),
    /** With fewer boards that have figures the gate is inconclusive. */
    minDevices: Type.Integer({ minimum: 1, maximum: 10_000, default: 3 }),
  },
  Strict,
);
export type LiveGate = Static<typeof LiveGate>;

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];
const ClockTime = Type.String({ pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$', description: 'such as 02:30' });
const TimeZone = Type.String({ minLength: 1, maxLength: 64, description: 'IANA zone such as Europe/Paris' });

/** When boards may be told. `to` before `from` goes over midnight; the days are those on which it begins. */
export const MaintenanceWindow = Type.Object(
  {
    days: Type.Optional(Type.Array(Type.Union(WEEKDAYS.map((day) => Type.Literal(day))), { minItems: 1, maxItems: 7 })),
    from: ClockTime,
    to: ClockTime,
    /** Instead of each board's own zone. */
    timeZone: Type.Optional(TimeZone),
  },
  Strict,
);
export type MaintenanceWindow = Static<typeof MaintenanceWindow>;

/** When it starts by itself: at a moment, or at the next time that a cron line names. */
export const Schedule = Type.Union([
  Type.Object({ startAt: Instant }, Strict),
  Type.Object({ cron: Type.String({ minLength: 9, maxLength: 100 }), timeZone: Type.Optional(TimeZone) }, Strict),
]);
export type Schedule = Static<typeof Schedule>;

/** Two releases beside each other: boards with a stable hash below `share` get the second one. */
export const Comparison = Type.Object(
  {
    release: ReleaseName,
    share: Type.Number({ minimum: 0.01, maximum: 0.99, default: 0.5 }),
    metric: LiveMetric,
    better: Type.Union([Type.Literal('higher'), Type.Literal('lower')]),
    /** How long both run before they are compared, s. */
    seconds: Type.Integer({ minimum: 0, maximum: 90 * DAY, default: DAY }),
    confidence: Type.Number({ minimum: 0.5, maximum: 0.999, default: 0.95 }),
    minDevices: Type.Integer({ minimum: 2, maximum: 10_000, default: 10 }),
    /** `winner`: all boards get it by themselves; `ask`: an operator says which. */
    promote: Type.Union([Type.Literal('winner'), Type.Literal('ask')], { default: 'winner' }),
  },
  Strict,
);
export type Comparison = Static<typeof Comparison>;

/** Everything that an operator says about a rollout. */
export const RolloutSpec = Type.Object(
  {
    title: Type.String({ maxLength: 200, default: '' }),
    release: ReleaseName,
    selector: Selector,
    waves: Type.Array(Wave, { minItems: 1, maxItems: 32 }),
    /** How the boards are laid into waves: by a stable hash, by their ids, or as the selector lists them. */
    order: Type.Union([Type.Literal('hash'), Type.Literal('id'), Type.Literal('listed')], { default: 'hash' }),
    /** Makes another order and other cohorts of the same boards; empty: the release's name and version do. */
    salt: Type.String({ maxLength: 64, default: '' }),
    /** Boards that may be at work at the same time. */
    concurrency: Type.Integer({ minimum: 1, maximum: 100_000, default: 50 }),
    startsPerMinute: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    gates: Type.Array(LiveGate, { maxItems: 16, default: [] }),
    windows: Type.Array(MaintenanceWindow, { maxItems: 32, default: [] }),
    schedule: Type.Optional(Schedule),
    comparison: Type.Optional(Comparison),
    /** A breach turns all boards of this rollout back; false: it only stops and asks. */
    autoRollback: Type.Boolean({ default: true }),
    /** A finished rollout goes on giving its release to boards that come to match. */
    follow: Type.Boolean({ default: true }),
    /** A board that was told and says nothing is told to stay as it is, and may come again later, s. */
    answerSeconds: Type.Integer({ minimum: 5, maximum: DAY, default: 120 }),
    /** A board at work may take so long in all, s. */
    installSeconds: Type.Integer({ minimum: 10, maximum: 7 * DAY, default: 3600 }),
    /** A board that puts it off (hot, no line, no budget) holds its place so long, s; then it may come again later. */
    holdSeconds: Type.Integer({ minimum: 5, maximum: DAY, default: 600 }),
    /** After this it ends, whatever its state, s; closed windows are not counted. */
    deadlineSeconds: Type.Integer({ minimum: 60, maximum: 366 * DAY, default: 30 * DAY }),
    /** How long turning back may take before it ends with what has come back, s. */
    rollbackSeconds: Type.Integer({ minimum: 10, maximum: 30 * DAY, default: DAY }),
    /** Also on boards where this release failed before. */
    retry: Type.Boolean({ default: false }),
    /** Why it goes on although rules of boards need labels that the release lacks. */
    overrideLabels: Type.Optional(Type.Object({ reason: Type.String({ minLength: 1, maxLength: 500 }) }, Strict)),
    trial: Type.Optional(Type.Partial(TrialPolicy, Strict)),
    shadow: Type.Optional(Type.Partial(ShadowPolicy, Strict)),
    delivery: Type.Optional(Type.Partial(DeliveryPolicy, Strict)),
  },
  Strict,
);
export type RolloutSpec = Static<typeof RolloutSpec>;

const { name: _name, size: _size, errors: _errors, ...waveOptions } = Wave.properties;
/** What a request says of a wave: the rest takes its defaults. */
const WaveRequest = Type.Object(
  {
    name: Wave.properties.name,
    size: WaveSize,
    errors: Type.Optional(Type.Partial(ErrorLimit, Strict)),
    ...optional(waveOptions),
  },
  Strict,
);
const { metric, of, min, max, ...gateOptions } = LiveGate.properties;
const GateRequest = Type.Object({ metric, of, min, max, ...optional(gateOptions) }, Strict);
const { release: other, metric: compared, better, ...comparisonOptions } = Comparison.properties;
const ComparisonRequest = Type.Object(
  { release: other, metric: compared, better, ...optional(comparisonOptions) },
  Strict,
);
const { release, selector, waves: _waves, gates: _gates, comparison: _comparison, ...options } = RolloutSpec.properties;

/** A rollout as it is asked for: release and boards must be said, everything else has defaults (see docs/rollouts.md). */
export const RolloutRequest = Type.Object(
  {
    ...{ release, selector, ...optional(options) },
    waves: Type.Optional(Type.Array(WaveRequest, { minItems: 1, maxItems: 32 })),
    gates: Type.Optional(Type.Array(GateRequest, { maxItems: 16 })),
    comparison: Type.Optional(ComparisonRequest),
  },
  Strict,
);
export type RolloutRequest = Static<typeof RolloutRequest>;

/** Canary, half, all. */
const STANDARD_WAVES: NonNullable<RolloutRequest['waves']> = [
  { name: 'canary', size: { count: 1 } },
  { name: 'half', size: { share: 0.5 } },
  { name: 'all', size: { share: 1 } },
];
const STANDARD_ERRORS = { share: 0.1, minimum: 10 };

/** Fills in what a request leaves out. */
export function completeSpec(request: RolloutRequest): RolloutSpec {
  const waves = (request.waves ?? STANDARD_WAVES).map((wave) => ({ ...wave, errors: wave.errors ?? STANDARD_ERRORS }));
  return Value.Default(RolloutSpec, structuredClone({ ...request, waves })) as RolloutSpec;
}

function optional<Properties extends TProperties>(
  properties: Properties,
): { [K in keyof Properties]: TOptional<Properties[K]> } {
  return Object.fromEntries(Object.entries(properties).map(([key, schema]) => [key, Type.Optional(schema)])) as {
    [K in keyof Properties]: TOptional<Properties[K]>;
  };
}
