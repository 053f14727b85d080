import { createHash } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import { BenchmarkResult, type EvidenceSource, MAX_RESULT_BYTES } from '@vigie/protocol';
import type { BenchmarkRepository } from '../io/database/benchmark-repository.js';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import { canonicalJson, storableDocument } from './audit-entry.js';

/** Clocks differ; a result from further ahead would stay the newest for long. */
const AHEAD_MS = 10 * 60_000;

export interface ResultOrigin {
  source: EvidenceSource;
  deviceId: string | null;
  actor: string;
}

export type IntakeResult =
  | { ok: true; created: boolean; id: number; release: ReleaseRecord }
  | {
      ok: false;
      code:
        | 'RELEASE_UNKNOWN'
        | 'RELEASE_WITHDRAWN'
        | 'BENCHMARK_RELEASE_MISMATCH'
        | 'BENCHMARK_FROM_FUTURE'
        | 'BENCHMARK_TOO_LARGE'
        | 'BENCHMARKS_FULL';
      detail: string;
    };

/** Takes results in: of a release that is in the registry, once each, so many and no more. */
export class BenchmarkIntake {
  constructor(
    private readonly benchmarks: BenchmarkRepository,
    private readonly releases: ReleaseRepository,
    private readonly most: number,
    private readonly now: Now,
  ) {}

  /** `given`: checked against its schema already. */
  async add(given: BenchmarkResult, { source, deviceId, actor }: ResultOrigin): Promise<IntakeResult> {
    // Fields that this server does not know are not kept: what can be stored here is what the schema bounds.
    const result = storableDocument(Value.Clean(BenchmarkResult, Value.Clone(given))) as BenchmarkResult;
    const reference = result.release;
    if (reference === null)
      return refuse('RELEASE_UNKNOWN', 'release: is null; name the release that was measured {name, version, digest}');
    const label = `${reference.name}@${reference.version}`;
    const release = await this.releases.find(reference.name, reference.version);
    if (release === null) return refuse('RELEASE_UNKNOWN', `release: ${label} is not in the registry; upload it first`);
    if (release.digest !== reference.digest) {
      const detail = `release.digest: ${reference.digest} was measured, but ${label} is ${release.digest}; measure the package that was uploaded`;
      return refuse('BENCHMARK_RELEASE_MISMATCH', detail);
    }
    if (release.state === 'withdrawn')
      return refuse('RELEASE_WITHDRAWN', `release: ${label} was withdrawn; no gate judges it any more`);
    const receivedAt = this.now();
    const at = Date.parse(result.at);
    if (!(at <= receivedAt.getTime() + AHEAD_MS)) {
      const detail = `at: ${result.at} lies ahead of the server's clock (${receivedAt.toISOString()}); set the clock of the machine that measured`;
      return refuse('BENCHMARK_FROM_FUTURE', detail);
    }
    const text = canonicalJson(result);
    if (Buffer.byteLength(text) > MAX_RESULT_BYTES)
      return refuse(
        'BENCHMARK_TOO_LARGE',
        `the result is over ${MAX_RESULT_BYTES} bytes; send fewer samples in series`,
      );
    const hash = createHash('sha256').update(text).digest('hex');
    const row = { hash, releaseId: release.id, source, deviceId, actor, receivedAt, body: result };
    const stored = await this.benchmarks.add(row, this.most);
    if (stored.kind === 'full') {
      const detail = `${label} has ${this.most} results; raise gates.resultsPerRelease or measure another version`;
      return refuse('BENCHMARKS_FULL', detail);
    }
    return { ok: true, created: stored.kind === 'stored', id: stored.id, release };
  }
}

function refuse(code: Extract<IntakeResult, { ok: false }>['code'], detail: string): IntakeResult {
  return { ok: false, code, detail };
}
