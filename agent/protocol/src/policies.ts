import { type Static, Type } from '@sinclair/typebox';

/** Thresholds by which a board judges a candidate while it is live. A release may carry some; a desired state overrides. */
export const TrialPolicy = Type.Object({
  /** Live frames the candidate must have seen before a verdict. */
  minFrames: Type.Integer({ minimum: 1, maximum: 100_000, default: 20 }),
  /** The previous model sees one frame in N, to compare. */
  compareEvery: Type.Integer({ minimum: 1, maximum: 1000, default: 5 }),
  /** Candidate p95 latency over the previous model's on this board may not exceed this. */
  maxLatencyRatio: Type.Number({ minimum: 0, maximum: 100, default: 3 }),
  /** Detections of the candidate over those of the previous model on the same frames may not fall below this. */
  minDetectionRatio: Type.Number({ minimum: 0, maximum: 10, default: 0.3 }),
  /** From this temperature on a trial says nothing about the model (the board throttles): inconclusive, degrees Celsius. */
  maxTemperatureC: Type.Number({ minimum: 30, maximum: 125, default: 80 }),
  /** A trial that has enough frames but no verdict by then is judged as it stands, ms. */
  deadlineMs: Type.Integer({ minimum: 1000, maximum: 86_400_000, default: 30_000 }),
});
export type TrialPolicy = Static<typeof TrialPolicy>;

/** A candidate beside the live model: it sees one frame in N and nobody sees what it says. */
export const ShadowPolicy = Type.Object({
  /** How long, s. */
  seconds: Type.Integer({ minimum: 1, maximum: 604_800, default: 60 }),
  everyFrames: Type.Integer({ minimum: 1, maximum: 1000, default: 5 }),
  /** What follows: only a report, or the trial when the agreement holds. */
  outcome: Type.Union([Type.Literal('report'), Type.Literal('trial')], { default: 'report' }),
  /** Least agreement (0..1, see Agreement) that lets a trial follow. */
  minAgreement: Type.Number({ minimum: 0, maximum: 1, default: 0.5 }),
});
export type ShadowPolicy = Static<typeof ShadowPolicy>;

/** How a board may fetch what it is missing. What the board's own configuration forbids stays forbidden. */
export const DeliveryPolicy = Type.Object({
  /** `auto`: MQTT, and HTTPS when that stalls. */
  transport: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('mqtt'), Type.Literal('https')])),
  maxBytesPerSecond: Type.Optional(Type.Integer({ minimum: 1024, maximum: 1_000_000_000 })),
  /** No more bytes than this for this assignment, thrown away ones included. */
  maxBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  /** Each board waits a random part of this before its download, so that a fleet does not start as one, s. */
  jitterSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
});
export type DeliveryPolicy = Static<typeof DeliveryPolicy>;
