import { type Static, Type } from '@sinclair/typebox';
import { Counter } from './identifiers.js';

/** States of the install journal (docs/design.md, section 6). */
export const INSTALL_PHASES = [
  'OFFERED',
  'PREFLIGHT',
  'DOWNLOADING',
  'VERIFYING',
  'STAGED',
  'SELF_TEST',
  'TRIAL',
  'COMMITTED',
  'ROLLED_BACK',
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
  'TUF_SIGNATURE_INVALID',
  'TUF_EXPIRED',
  'TUF_ROLLBACK',
  'TUF_MISMATCH',
  'TUF_UNAVAILABLE',
  'TARGET_UNKNOWN',
  'DESCRIPTOR_INVALID',
  'DIGEST_MISMATCH',
  'AGENT_TOO_OLD',
  'HARDWARE_NOT_SUPPORTED',
  'DISK_FULL',
  'CHUNK_MISSING',
  'CHUNK_CORRUPT',
  'FILE_CORRUPT',
  'PACKAGE_INVALID',
  'MODEL_LOAD_FAILED',
  'GOLDEN_MISMATCH',
  'TRIAL_CHILD_CRASHED',
  'TRIAL_TOO_SLOW',
  'TRIAL_DISAGREES',
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
