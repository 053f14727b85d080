import type { EvidenceFilter, GatePolicy, GateVerdict } from '@vigie/protocol';

/** What a policy in force says of a release as it was measured so far. */
export interface Consideration {
  policy: string;
  policyVersion: number;
  document: GatePolicy;
  verdict: GateVerdict;
}

/** One rule for one entry of a policy's `certifies`: where it stands, and which results it looks at. */
export interface RuleNeed {
  rule: string;
  require: string;
  metric: string;
  verdict: GateVerdict['verdict'];
  /** As in verdicts; `NO_EVIDENCE`: no result counts yet. */
  code: string;
  why: string;
  evidence: EvidenceFilter;
  minSamples: number;
}

export interface GateNeed {
  policy: string;
  policyVersion: number;
  verdict: GateVerdict['verdict'];
  classes: { hardwareClasses: string[]; verdict: GateVerdict['verdict']; rules: RuleNeed[] }[];
}

/** What each gate has and lacks to certify a release, with the evidence that each rule waits for. */
export function needsOf(considered: readonly Consideration[]): GateNeed[] {
  return considered.map(({ policy, policyVersion, document, verdict }) => ({
    ...{ policy, policyVersion, verdict: verdict.verdict },
    classes: verdict.classes.map(({ hardwareClasses, verdict: judged, rules }, entry) => ({
      ...{ hardwareClasses, verdict: judged },
      rules: rules.map(({ rule, require, metric, verdict: held, code, why }, index) => ({
        ...{ rule, require, metric, verdict: held, code, why },
        // A verdict's classes and rules stand in the order of the policy.
        evidence: document.rules[index].on ?? document.certifies[entry].evidence,
        minSamples: document.rules[index].minSamples,
      })),
    })),
  }));
}
