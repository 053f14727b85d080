import { createHash } from 'node:crypto';
import { type Evidence, evaluateGate, type GatePolicy, type GateVerdict } from '@vigie/protocol';
import { grantsOf } from '../gates/grants.js';
import type { Consideration } from '../gates/needs.js';
import type { BenchmarkRepository } from '../io/database/benchmark-repository.js';
import type { GateRepository, PresentPolicy } from '../io/database/gate-repository.js';
import type { GrantRepository } from '../io/database/grant-repository.js';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { VerdictInputs } from '../io/database/schema/gates.js';
import type { Now } from '../ports.js';
import { byTheWay } from './deed.js';
import type { Publication } from './publication.js';
import type { ReleaseLife } from './release-life.js';
import { Serial } from './serial.js';

/** Releases judged in one round of the duty. */
const ROUND = 20;
/** As the activity log names who did it. */
const ACTOR = 'gates';

export interface JudgedPolicy {
  id: number;
  policy: string;
  policyVersion: number;
  verdict: GateVerdict;
}

export interface Judgement {
  release: ReleaseRecord;
  verdicts: JudgedPolicy[];
  /** Classes that this judgement certified anew. */
  certified: string[];
}

export type JudgeResult =
  | { ok: true; judgement: Judgement }
  | { ok: false; code: 'RELEASE_UNKNOWN' | 'RELEASE_WITHDRAWN'; detail: string };

/** What a policy would say of a release that was measured. */
export interface Rehearsal {
  name: string;
  version: string;
  digest: string;
  verdict: GateVerdict;
}

export interface GateJudgeParts {
  benchmarks: BenchmarkRepository;
  gates: GateRepository;
  grants: GrantRepository;
  releases: ReleaseRepository;
  life: Pick<ReleaseLife, 'advance'>;
  publication: Pick<Publication, 'publishReleases'>;
  /** The release of a model that others are held against; null: none was chosen. */
  champion: (name: string) => Promise<ReleaseRecord | null>;
  /** What follows a certification. */
  release: 'automatic' | 'manual';
  now: Now;
}

/**
 * Judges releases by the gates that apply to them, and certifies what passes. Everything is idempotent, and a release stays
 * marked until all of it is done: a crash anywhere in between is made good by the next round.
 */
export class GateJudge {
  readonly #serial = new Serial();

  constructor(private readonly parts: GateJudgeParts) {}

  /** Judges one release now. `actor`: who asked, in the verdicts' rows. */
  async judge(releaseId: number, actor = ACTOR): Promise<JudgeResult> {
    return this.#serial.run(() => this.#judge(releaseId, actor));
  }

  /** Judges what is marked. */
  async judgeMarked(): Promise<void> {
    for (;;) {
      const marked = await this.parts.gates.pending(ROUND);
      for (const { releaseId } of marked) await this.judge(releaseId);
      if (marked.length < ROUND) return;
    }
  }

  /** What a policy would say of releases as they were measured; nothing is stored. */
  async rehearse(policy: GatePolicy, limit: number): Promise<Rehearsal[]> {
    const measured = await this.parts.gates.measuredReleases(policy.models, limit);
    const told: Rehearsal[] = [];
    for (const { id, name, version, digest } of measured) {
      const evidence = await this.parts.benchmarks.evidence(id);
      const champion = await this.#championOf({ id, name });
      told.push({ name, version, digest, verdict: evaluateGate(policy, evidence, champion?.evidence ?? null) });
      // A policy with a confidence takes its time: others come in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return told;
  }

  /** What the policies in force say of a release as it was measured so far; nothing is stored. */
  async consider(release: ReleaseRecord): Promise<Consideration[]> {
    const evidence = await this.parts.benchmarks.evidence(release.id);
    const champion = await this.#championOf(release);
    const considered: Consideration[] = [];
    for (const { name: policy, version: policyVersion, document } of await this.parts.gates.policies()) {
      if (document.models?.includes(release.name) === false) continue;
      const verdict = evaluateGate(document, evidence, champion?.evidence ?? null);
      considered.push({ policy, policyVersion, document, verdict });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return considered;
  }

  async #judge(releaseId: number, actor: string): Promise<JudgeResult> {
    const { benchmarks, gates, grants, releases, publication, now } = this.parts;
    const [mark] = await gates.pending(1, releaseId);
    const release = await releases.findById(releaseId);
    if (release === null)
      return { ok: false, code: 'RELEASE_UNKNOWN', detail: `no release has the number ${releaseId}` };
    // Its mark is no part of what is judged.
    const settle = async () => mark !== undefined && (await byTheWay(() => gates.settle(releaseId, mark.changes)));
    const label = `${release.name}@${release.version}`;
    if (release.state === 'withdrawn') {
      await settle();
      return { ok: false, code: 'RELEASE_WITHDRAWN', detail: `${label} was withdrawn; no gate judges it any more` };
    }
    const evidence = await benchmarks.evidence(releaseId);
    const champion = await this.#championOf(release);
    const verdicts: JudgedPolicy[] = [];
    // A release that nobody measured has no verdict, unless somebody asks.
    const policies = evidence.length === 0 && actor === ACTOR ? [] : await gates.policies();
    for (const policy of policies) {
      if (policy.document.models?.includes(release.name) === false) continue;
      verdicts.push(await this.#verdict(release, policy, evidence, champion, actor));
    }
    if (evidence.length > 0) await this.#advance(releaseId, 'benchmarked', 'benchmark results came in');
    const passed = grantsOf(verdicts);
    const certified = await grants.grant(releaseId, passed, { actor: ACTOR, at: now() });
    await this.settleStanding(releaseId);
    if (certified.length > 0) await publication.publishReleases();
    // What the champion measured is the others' limit.
    if (mark !== undefined && (await this.parts.champion(release.name))?.id === releaseId)
      await gates.mark(release.name, releaseId);
    await settle();
    return { ok: true, judgement: { release: (await releases.findById(releaseId)) ?? release, verdicts, certified } };
  }

  /** Takes a release forward as far as its standing certificates allow. */
  async settleStanding(releaseId: number): Promise<void> {
    const standing = (await this.parts.grants.ofRelease(releaseId)).filter(({ revokedAt }) => revokedAt === null);
    if (standing.length === 0) return;
    const by = [...new Set(standing.map(({ policy }) => policy))].join(',');
    const classes = standing.map(({ hardwareClass }) => hardwareClass).join(', ');
    const reason = `certified for ${classes} by ${by}`;
    await this.#advance(releaseId, 'approved', reason);
    if (this.parts.release === 'automatic') await this.#advance(releaseId, 'released', reason, by.slice(0, 200));
  }

  async #advance(id: number, to: 'benchmarked' | 'approved' | 'released', reason: string, certifiedBy?: string) {
    await this.parts.life.advance(id, to, {
      actor: ACTOR,
      reason,
      ...(certifiedBy === undefined ? {} : { certifiedBy }),
    });
  }

  async #verdict(
    release: ReleaseRecord,
    { name: policy, version: policyVersion, document }: PresentPolicy,
    evidence: readonly (Evidence & { row: number })[],
    champion: Champion | null,
    actor: string,
  ): Promise<JudgedPolicy> {
    const verdict = evaluateGate(document, evidence, champion?.evidence ?? null);
    const inputs: VerdictInputs = { evidence: rowsOf(evidence), champion: champion?.inputs ?? null };
    const inputsHash = createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
    const row = {
      ...{ releaseId: release.id, policy, policyVersion, inputsHash, at: this.parts.now(), actor },
      ...{ verdict: verdict.verdict, inputs, body: verdict },
    };
    const { id } = await this.parts.gates.addVerdict(row);
    return { id, policy, policyVersion, verdict };
  }

  /** A release is not held against itself. */
  async #championOf({ id, name }: { id: number; name: string }): Promise<Champion | null> {
    const champion = await this.parts.champion(name);
    if (champion === null || champion.id === id) return null;
    const evidence = await this.parts.benchmarks.evidence(champion.id);
    const { version, digest } = champion;
    return { evidence, inputs: { name, version, digest, evidence: rowsOf(evidence) } };
  }
}

interface Champion {
  evidence: readonly Evidence[];
  inputs: NonNullable<VerdictInputs['champion']>;
}

function rowsOf(evidence: readonly { row: number }[]): number[] {
  return evidence.map(({ row }) => row).sort((a, b) => a - b);
}
