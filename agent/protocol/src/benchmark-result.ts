import { type Static, Type } from '@sinclair/typebox';
import { Instant, ReleaseReference } from './identifiers.js';

/** Samples of one metric that a result may carry. */
export const MAX_SERIES_SAMPLES = 2000;
/** Largest result document that is taken, bytes of JSON: it fits into one reply of a board with room to spare. */
export const MAX_RESULT_BYTES = 120_000;

const Figure = Type.Number({ minimum: -Number.MAX_VALUE, maximum: Number.MAX_VALUE });

/** What a benchmark run says; the same document is posted by CI, by lab boards and read by gates. */
export const BenchmarkResult = Type.Object({
  schema: Type.Literal('vigie.benchmark/1'),
  /** Which measurement: `run`, `pipeline`, `evaluate`, `lab`, or a name of your own. */
  benchmark: Type.String({ maxLength: 64 }),
  at: Instant,
  release: Type.Union([ReleaseReference, Type.Null()]),
  platform: Type.Object({
    /** As Node says it: `arm64`, `x64`. */
    arch: Type.String({ maxLength: 32 }),
    cpu: Type.String({ maxLength: 200 }),
    cores: Type.Integer({ minimum: 1 }),
    node: Type.String({ maxLength: 32 }),
    runtime: Type.String({ maxLength: 64 }),
    /** Times measured under emulation never enter a gate. */
    emulated: Type.Boolean(),
    /** What the board calls itself, e.g. `rpi5-8g`; absent on machines that are no board. */
    hardwareClass: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })),
  }),
  samples: Type.Integer({ minimum: 0 }),
  /** Flat metric names such as `latencyMs.p95`, `fps`, `ratio`; see docs/benchmarks.md. */
  metrics: Type.Record(Type.String({ maxLength: 64 }), Figure, { maxProperties: 256 }),
  /**
   * Single samples by metric family (`latencyMs`, `fps`), in the order they were taken: what statistics with a confidence
   * are made of.
   */
  series: Type.Optional(
    Type.Record(Type.String({ maxLength: 64 }), Type.Array(Figure, { maxItems: MAX_SERIES_SAMPLES }), {
      maxProperties: 8,
    }),
  ),
  /**
   * What the samples were taken on, e.g. the SHA-256 of a clip, or a CI run that measured two models in turn. Results that
   * name the same are compared sample by sample.
   */
  pairing: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  /** The board throttled or was too hot while this was measured: its times say nothing about the model. */
  throttled: Type.Optional(Type.Boolean()),
  /** Page of the CI run. */
  url: Type.Optional(Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 500 })),
  /** Commit that was built. */
  commit: Type.Optional(Type.String({ pattern: '^[0-9a-f]{7,64}$' })),
});
export type BenchmarkResult = Static<typeof BenchmarkResult>;
