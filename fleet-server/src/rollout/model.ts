import type { Desired, ReleaseReference, Reported } from '@vigie/protocol';
import type { LiveMetric, RolloutSpec } from './spec.js';
import type { MemberCode, MemberState, RolloutState } from './states.js';

/** Moments are ms since 1970 here: this code computes with them. */
export type Instant = number;

/** `A` gets the rollout's release, `B` that of its comparison. */
export type Cohort = 'A' | 'B';

/** Means over a board's telemetry. */
export type Figures = Partial<Record<LiveMetric, number>>;

export interface Reason {
  code: ReasonCode;
  /** One line for people. */
  text: string;
}
export type ReasonCode =
  | 'OPERATOR'
  | 'TOO_MANY_ERRORS'
  | 'TOO_FEW_SUCCEEDED'
  | 'TOO_FEW_REACHED'
  | 'GATE_FAILED'
  | 'GATE_INCONCLUSIVE'
  | 'WENT_SILENT'
  | 'COMPARISON_INCONCLUSIVE'
  | 'COMPARISON_ASKS'
  | 'RELEASE_UNAVAILABLE'
  | 'DEADLINE'
  | 'DONE';

/** `planning`: boards are laid into waves; `approval`: somebody must say yes; `following`: it is done and new boards get it. */
export type Phase = 'planning' | 'approval' | 'open' | 'soaking' | 'comparing' | 'promoting' | 'following' | 'ended';

/** How far a rollout is: what the engine remembers from one step to the next. */
export interface Progress {
  phase: Phase;
  /** Index of the present wave; one more than there are waves while it promotes or follows. */
  wave: number;
  openedAt: Instant | null;
  /** Since when the boards of the wave have settled. */
  soakingSince: Instant | null;
  /** Since when too many of its boards are offline after their success, at the end of the soak. */
  silentSince: Instant | null;
  /** An operator has taken this wave as it is: its thresholds and gates count no more. */
  accepted: boolean;
  approvals: { wave: number; by: string; at: Instant }[];
  /** Why it is paused, stops, turns back or has ended. */
  reason: Reason | null;
  /** Which end `stopping` leads to. */
  stopsAs: 'aborted' | 'expired' | null;
  turningBackSince: Instant | null;
  comparingSince: Instant | null;
  winner: Cohort | null;
}

export interface Rollout {
  id: number;
  spec: RolloutSpec;
  state: RolloutState;
  createdBy: string;
  startedAt: Instant | null;
  progress: Progress;
}

export const NEW_PROGRESS: Progress = {
  phase: 'planning',
  wave: 0,
  openedAt: null,
  soakingSince: null,
  silentSince: null,
  accepted: false,
  approvals: [],
  reason: null,
  stopsAs: null,
  turningBackSince: null,
  comparingSince: null,
  winner: null,
};

/** A board's place in a rollout. */
export interface Member {
  deviceId: string;
  wave: number;
  /** Place in the order in which boards are told. */
  position: number;
  cohort: Cohort;
  state: MemberState;
  /** Told, and not ended: it may still turn out either way, and holds a place of `concurrency`. */
  out: boolean;
  code: MemberCode | null;
  message: string | null;
  /** Digest that was wanted of it when it joined; somebody else's change shows against this. */
  base: string | null;
  /** Digest that this rollout told it last, and the generation of that; null: never told. */
  told: string | null;
  generation: number | null;
  /** What it was to run before this rollout. */
  previous: ReleaseReference | null;
  /** How often it was offered the release. */
  attempt: number;
  offeredAt: Instant | null;
  reachedAt: Instant | null;
  endedAt: Instant | null;
  /** An outstanding offer is taken back then. */
  holdUntil: Instant | null;
  /** Not to be told before. */
  retryAt: Instant | null;
  before: Figures | null;
  fetchedBytes: number | null;
}

/** A board as a step sees it. */
export interface Board {
  id: string;
  hardwareClass: string;
  tags: readonly string[];
  timeZone: string | null;
  /** `name@version`. */
  running: string | null;
  revoked: boolean;
  online: boolean;
  bootId: string | null;
  generation: number;
  desired: Desired | null;
  reported: Reported | null;
}

export interface Pair {
  member: Member;
  /** Null: it is enrolled no more. */
  board: Board | null;
  /** Newer rollout that it is a member of and that goes on; null: none. The newest word counts. */
  wantedBy: number | null;
  /** Another rollout that gave it what it is to run now; null: none did. */
  ownedBy: number | null;
}

export interface WaveTally {
  states: Partial<Record<MemberState, number>>;
  out: number;
  /** Waiting, online, and not put off: they come next. */
  coming: number;
  /** Waiting and offline. */
  unreachable: number;
  /** Succeeded and offline now. */
  silent: number;
}

/** A release that a cohort gets. */
export interface Target {
  release: ReleaseReference;
  /** Hardware classes it is certified for; `*`: all. */
  classes: readonly string[];
  /** Released and in the published targets. */
  available: boolean;
}

/** What a step sees. Boards it need not look at may be left out; the tallies count all. */
export interface StepInput {
  now: Instant;
  targets: { A: Target; B: Target | null };
  /** Zones of the rollout's boards; needed where there are windows. */
  zones: readonly string[];
  /** Releases that may be installed now: digests. */
  installable: ReadonlySet<string>;
  /** Told ones that changed or whose time is up; while stopping: all that are out. */
  touched: readonly Pair[];
  /** While running: those to be told next, in order. While turning back: told ones that run the release still. */
  candidates: readonly Pair[];
  /** Of the candidates those whose rules need labels that the release lacks, and why in one line. */
  lacking: ReadonlyMap<string, string>;
  /** Boards to join as members, laid out by plan(); null: not read this time. */
  joining: readonly Member[] | null;
  /** Members without a certificate for their class that have one by now. */
  recertified: readonly Pair[];
  tallies: readonly WaveTally[];
  /** Offers of the last minute. */
  startsLastMinute: number;
  /** Members that hold the release of this rollout and must be turned back still. */
  toTurnBack: number;
  /** Figures of boards, where needsFigures asked for them. */
  figures: readonly BoardFigures[] | null;
}

export interface BoardFigures {
  deviceId: string;
  cohort: Cohort;
  before: Figures | null;
  after: Figures | null;
}

/** One new desired state. `recall`: stay with (or go back to) what ran before, an unfinished offer is over. */
export interface Telling {
  deviceId: string;
  why: 'offer' | 'recall' | 'restore';
  /** One above the board's present one. */
  generation: number;
  release: ReleaseReference | null;
  retry: boolean;
}

/** What was decided, for the log: in one line, and with what it was decided from. */
export interface Decision {
  kind: DecisionKind;
  wave: number | null;
  text: string;
  inputs: Record<string, unknown>;
}
export const DECISION_KINDS = [
  'created',
  'started',
  'planned',
  'joined',
  'approval-needed',
  'approved',
  'wave-opened',
  'offered',
  'observed',
  'recalled',
  'soaking',
  'wave-passed',
  'compared',
  'promoting',
  'paused',
  'resumed',
  'retried',
  'stopping',
  'turning-back',
  'restored',
  'ended',
] as const;
export type DecisionKind = (typeof DECISION_KINDS)[number];

/** What a step changes: all of it, or nothing. */
export interface Step {
  state: RolloutState;
  progress: Progress;
  /** Members as they are now: changed and new ones. */
  members: Member[];
  tellings: Telling[];
  decisions: Decision[];
  /** All members of the other cohort that hold its release come over to the winner. */
  promote: Cohort | null;
}

/** Does this release go to this hardware class? */
export function certifiedFor(target: Target, hardwareClass: string): boolean {
  return target.classes.includes('*') || target.classes.includes(hardwareClass);
}
