import type { InstallPhase } from '@vigie/protocol';

/** Whom a kill strikes: the agent's process, one of its inference children, or the fleet server with its broker. */
export const VICTIMS = ['agent', 'child', 'server'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Phases of an install that every update goes through and that a kill can be aimed at. */
export const AIMED_PHASES = [
  'OFFERED',
  'PREFLIGHT',
  'DOWNLOADING',
  'VERIFYING',
  'STAGED',
  'SELF_TEST',
  'TRIAL',
  'COMMITTED',
] as const satisfies readonly InstallPhase[];
export type AimedPhase = (typeof AIMED_PHASES)[number];

/**
 * When a kill strikes: at a random moment, once the install enters a phase, while the journal is being written (its scratch
 * file stands there), or soon after the agent's process was started.
 */
export type Aim =
  | { kind: 'time' }
  | { kind: 'phase'; phase: AimedPhase }
  | { kind: 'journal-write' }
  | { kind: 'start' };

export interface Strike {
  victim: Victim;
  aim: Aim;
  /** Wait after the moment that was aimed at, ms. */
  delayMs: number;
  /** 0..1: which of several inference children is meant. */
  choice: number;
  /** How long the victim stays dead before it is started again, ms. */
  downMs: number;
}

/** Longest delay after a phase was entered, ms: about as long as it takes, so that strikes fall all over it. */
const PHASE_SPREAD_MS: Readonly<Record<AimedPhase, number>> = {
  OFFERED: 0,
  PREFLIGHT: 30,
  DOWNLOADING: 120,
  VERIFYING: 40,
  STAGED: 0,
  SELF_TEST: 900,
  TRIAL: 900,
  COMMITTED: 40,
};

/** mulberry32: small, seeded, the same on every machine. Returns numbers in 0..1. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Share of all kills that strike the server. */
const SERVER_SHARE = 0.12;
/** Share of a board's kills that strike an inference child, not the agent. */
const CHILD_SHARE = 0.35;

/**
 * How many kills each lane does: the server's first, then one lane per board. Sums to `kills`; a board's lane of a run with
 * more kills begins with the same strikes.
 */
export function laneQuotas(kills: number, boards: number): number[] {
  const server = Math.floor(kills * SERVER_SHARE);
  const rest = kills - server;
  const perBoard = Array.from({ length: boards }, (_, i) => Math.floor(rest / boards) + (i < rest % boards ? 1 : 0));
  return [server, ...perBoard];
}

/**
 * Strike number `index` of a lane (0: the server's, 1…: the boards'). A pure function of its arguments, so a run that was cut
 * goes on with the schedule that it would have had.
 */
export function strikeOf(seed: number, lane: number, index: number): Strike {
  const random = seededRandom(
    Math.imul(seed, 0x9e3779b1) ^ Math.imul(lane + 1, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35),
  );
  // The first numbers of neighbouring seeds are alike.
  random();
  random();
  const victim: Victim = lane === 0 ? 'server' : random() < CHILD_SHARE ? 'child' : 'agent';
  const { aim, delayMs } = drawAim(random, victim);
  return { victim, aim, delayMs, choice: random(), downMs: Math.round(random() * (victim === 'server' ? 1200 : 400)) };
}

function drawAim(random: () => number, victim: Victim): { aim: Aim; delayMs: number } {
  const kind = random();
  const spread = random();
  if (kind < 0.35) return { aim: { kind: 'time' }, delayMs: Math.round(100 + spread * 2400) };
  if (victim === 'agent' && kind < 0.43) return { aim: { kind: 'journal-write' }, delayMs: 0 };
  if (victim === 'agent' && kind < 0.5) return { aim: { kind: 'start' }, delayMs: Math.round(spread * 900) };
  // A child exists for an install only while it is tested and on trial; else it is the live one.
  const phases: readonly AimedPhase[] =
    victim === 'child' ? ['SELF_TEST', 'TRIAL', 'TRIAL', 'COMMITTED'] : AIMED_PHASES;
  const phase = phases[Math.floor(random() * phases.length)];
  return { aim: { kind: 'phase', phase }, delayMs: Math.round(spread * PHASE_SPREAD_MS[phase]) };
}
