import { type Static, Type } from '@sinclair/typebox';
import { Counter } from './identifiers.js';

/**
 * States of the install journal (docs/design.md, section 6). Ends: `COMMITTED` (the candidate stays), `SHADOWED` (it was only
 * looked at, as asked), `ROLLED_BACK` (judged bad while live), `INCONCLUSIVE` (turned back without a judgement: hot board, no
 * frames) and `FAILED` (never went live).
 */
export const INSTALL_PHASES = [
  'OFFERED',
  'PREFLIGHT',
  'DOWNLOADING',
  'VERIFYING',
  'STAGED',
  'SELF_TEST',
  'SHADOW',
  'TRIAL',
  'COMMITTED',
  'SHADOWED',
  'ROLLED_BACK',
  'INCONCLUSIVE',
  'FAILED',
] as const;
export const InstallPhase = Type.Union(INSTALL_PHASES.map((phase) => Type.Literal(phase)));
export type InstallPhase = (typeof INSTALL_PHASES)[number];

/** Why an install did not end in COMMITTED. Each cause has a code of its own; tests and operators read codes, not wording. */
export const INSTALL_ERROR_CODES = [
  'DESIRED_SIGNATURE_INVALID',
  'DESIRED_MALFORMED',
  'DESIRED_WRONG_DEVICE',
  'DESIRED_STALE_GENERATION',
  'DESIRED_KEY_REVOKED',
  'TUF_SIGNATURE_INVALID',
  'TUF_EXPIRED',
  'TUF_ROLLBACK',
  'TUF_MISMATCH',
  'TUF_KEY_REVOKED',
  'TUF_TOO_LARGE',
  'TUF_MALFORMED',
  'TUF_UNAVAILABLE',
  'TARGET_UNKNOWN',
  'NOT_CERTIFIED',
  'RELEASE_WITHDRAWN',
  'DESCRIPTOR_INVALID',
  'DIGEST_MISMATCH',
  'AGENT_TOO_OLD',
  'HARDWARE_NOT_SUPPORTED',
  'DISK_FULL',
  'DISK_ERROR',
  'MEMORY_SHORT',
  'DATA_BUDGET_EXCEEDED',
  'DOWNLOAD_REFUSED',
  'CHUNK_MISSING',
  'CHUNK_CORRUPT',
  'CHUNK_TOO_LARGE',
  'FILE_CORRUPT',
  'PACKAGE_INVALID',
  'MODEL_LOAD_FAILED',
  'GOLDEN_MISMATCH',
  'SHADOW_DISAGREES',
  'TRIAL_CHILD_CRASHED',
  'TRIAL_TOO_SLOW',
  'TRIAL_DISAGREES',
  'TRIAL_HOT',
  'TRIAL_NO_FRAMES',
  'PREVIOUSLY_FAILED',
  'INTERNAL',
] as const;
export const InstallErrorCode = Type.Union(INSTALL_ERROR_CODES.map((code) => Type.Literal(code)));
export type InstallErrorCode = (typeof INSTALL_ERROR_CODES)[number];

/** What a swap did to the stream, in the agent's own account (a benchmark counts the same from outside). */
export const SwapReport = Type.Object({
  /** Frames that the camera delivered and nobody detected on, in the swap window, less the steady drop rate. */
  framesMissed: Counter,
  /** Longest gap between two results in the swap window, ms. */
  longestGapMs: Type.Number({ minimum: 0 }),
  /** 99th percentile of the gap between results before the swap, ms. */
  steadyGapP99Ms: Type.Number({ minimum: 0 }),
  /** From the arrival of the desired state to the first live result of the new model, ms. */
  durationMs: Type.Number({ minimum: 0 }),
});
export type SwapReport = Static<typeof SwapReport>;

/** How the candidate comes in: beside the live model, or (too little memory for two) after it was stopped. */
export const SwapPlan = Type.Object({
  mode: Type.Union([Type.Literal('hot'), Type.Literal('stop')]),
  /** Time without detection that a stop-swap is expected to cost, ms; 0 for a hot one. */
  expectedGapMs: Type.Number({ minimum: 0 }),
});
export type SwapPlan = Static<typeof SwapPlan>;

/** How far two models agreed on the same frames. */
export const Agreement = Type.Object({
  /** Frames that both have seen. */
  frames: Counter,
  /** Boxes of the two models, and pairs of them with the same label and an IoU of at least 0.5. */
  candidateBoxes: Counter,
  referenceBoxes: Counter,
  matchedBoxes: Counter,
  /** 2 × matched / (candidate + reference), 0..1; 1 where neither saw anything. */
  agreement: Type.Number({ minimum: 0, maximum: 1 }),
  /** Mean of candidate score - reference score over the matched pairs, -1..1. */
  scoreDrift: Type.Number({ minimum: -1, maximum: 1 }),
  /** 95th percentile of the time in the child on these frames, ms. */
  candidateP95Ms: Type.Number({ minimum: 0 }),
  referenceP95Ms: Type.Number({ minimum: 0 }),
});
export type Agreement = Static<typeof Agreement>;
