import { type Static, Type } from '@sinclair/typebox';
import { Instant, ReleaseReference } from './identifiers.js';

/** What a benchmark run says; the same document is posted by CI, by lab boards and read by gates. */
export const BenchmarkResult = Type.Object({
  schema: Type.Literal('vigie.benchmark/1'),
  benchmark: Type.String({ maxLength: 64 }),
  at: Instant,
  release: Type.Union([ReleaseReference, Type.Null()]),
  platform: Type.Object({
    arch: Type.String({ maxLength: 32 }),
    cpu: Type.String({ maxLength: 200 }),
    cores: Type.Integer({ minimum: 1 }),
    node: Type.String({ maxLength: 32 }),
    runtime: Type.String({ maxLength: 64 }),
    /** Times measured under emulation never enter a gate. */
    emulated: Type.Boolean(),
  }),
  samples: Type.Integer({ minimum: 0 }),
  /** Flat metric names such as `latencyMs.p95`, `fps`, `ratio`; see docs/benchmarks.md. */
  metrics: Type.Record(Type.String({ maxLength: 64 }), Type.Number()),
});
export type BenchmarkResult = Static<typeof BenchmarkResult>;
