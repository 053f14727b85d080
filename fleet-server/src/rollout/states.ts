import type { InstallErrorCode } from '@vigie/protocol';

/** Life of a rollout. `stopping`: boards that were told and have not ended are told to stay as they are, then it ends. */
export const ROLLOUT_STATES = [
  'ready',
  'scheduled',
  'running',
  'paused',
  'stopping',
  'turning-back',
  'succeeded',
  'turned-back',
  'failed',
  'aborted',
  'expired',
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** Nothing happens to boards any more, but for a succeeded one that follows. */
export const ENDED: readonly RolloutState[] = ['succeeded', 'turned-back', 'failed', 'aborted', 'expired'];

/**
 * What a board is to a rollout. `unreachable` is not stored: it is a waiting board that is offline.
 * - `waiting`: not told (yet, or not any more); `code` says why it was taken back, if it was
 * - `offered`: told, no answer yet
 * - `in-progress`: has answered (reached), at work
 * - `deferred`: put it off itself: network, heat, data budget …
 * - `succeeded`: proof, see isInSync
 * - `failed`: the release failed on it
 * - `declined`: it cannot take it, for a reason that says nothing about the model (disk, agent too old …)
 * - `timed-out`: reached, online, and not ready in time
 * - `turning-back`, `turned-back`: told to run again what it ran before; proved it
 * - `kept`: keeps the release in a roll back, for there is nothing to go back to
 * - `already`: ran it before this rollout came
 * - `not-certified`: the release is not certified for its hardware class; never told
 * - `taken-over`: somebody else gave it another release
 * - `left`: was revoked, is not selected any more, or got a rule that needs labels which the release lacks
 */
export const MEMBER_STATES = [
  'waiting',
  'offered',
  'in-progress',
  'deferred',
  'succeeded',
  'failed',
  'declined',
  'timed-out',
  'turning-back',
  'turned-back',
  'kept',
  'already',
  'not-certified',
  'taken-over',
  'left',
] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** These boards have no part in the wave's arithmetic. */
export const OUTSIDE: readonly MemberState[] = ['already', 'not-certified', 'taken-over', 'left'];

/**
 * What an install error says about the release: `against` it (the model or its package is bad), `later` (line, broker, heat,
 * budget: the board goes on by itself), `cannot` (this board cannot take it; no fault of the model).
 */
export type ErrorEffect = 'against' | 'later' | 'cannot';

/** Closed: a new code does not compile without a row here. The board's own account of them: docs/updates.md. */
export const ERROR_EFFECTS: Readonly<Record<InstallErrorCode, ErrorEffect>> = {
  DESIRED_SIGNATURE_INVALID: 'cannot',
  DESIRED_MALFORMED: 'cannot',
  DESIRED_WRONG_DEVICE: 'cannot',
  DESIRED_STALE_GENERATION: 'cannot',
  DESIRED_KEY_REVOKED: 'cannot',
  TUF_SIGNATURE_INVALID: 'later',
  TUF_EXPIRED: 'later',
  TUF_ROLLBACK: 'later',
  TUF_MISMATCH: 'later',
  TUF_KEY_REVOKED: 'later',
  TUF_TOO_LARGE: 'later',
  TUF_MALFORMED: 'later',
  TUF_UNAVAILABLE: 'later',
  TARGET_UNKNOWN: 'later',
  NOT_CERTIFIED: 'cannot',
  RELEASE_WITHDRAWN: 'cannot',
  DESCRIPTOR_INVALID: 'against',
  DIGEST_MISMATCH: 'against',
  AGENT_TOO_OLD: 'cannot',
  HARDWARE_NOT_SUPPORTED: 'cannot',
  DISK_FULL: 'later',
  DISK_ERROR: 'later',
  MEMORY_SHORT: 'later',
  DATA_BUDGET_EXCEEDED: 'later',
  DOWNLOAD_REFUSED: 'cannot',
  CHUNK_MISSING: 'later',
  CHUNK_CORRUPT: 'later',
  CHUNK_TOO_LARGE: 'later',
  FILE_CORRUPT: 'later',
  PACKAGE_INVALID: 'against',
  MODEL_LOAD_FAILED: 'against',
  GOLDEN_MISMATCH: 'against',
  SHADOW_DISAGREES: 'against',
  TRIAL_CHILD_CRASHED: 'against',
  TRIAL_TOO_SLOW: 'against',
  TRIAL_DISAGREES: 'against',
  TRIAL_HOT: 'later',
  TRIAL_NO_FRAMES: 'later',
  PREVIOUSLY_FAILED: 'against',
  INTERNAL: 'later',
};

/** Codes that the server gives itself; those of boards are INSTALL_ERROR_CODES. */
export type MemberCode =
  | InstallErrorCode
  | 'NO_ANSWER'
  | 'LOST_CONTACT'
  | 'TIMED_OUT'
  | 'WAVE_OVER'
  | 'REGRESSED'
  | 'REVOKED'
  | 'NOT_SELECTED'
  | 'ANOTHER_ASSIGNMENT'
  | 'ANOTHER_ROLLOUT'
  | 'NO_PREVIOUS'
  | 'PREVIOUS_WITHDRAWN'
  | 'CLASS_NOT_CERTIFIED'
  | 'LABELS_MISSING'
  | 'STOPPED';
