import type { Victim } from './plan.js';

/** Something that must not happen, with where to look. */
export interface Finding {
  kind:
    | 'blind'
    | 'slot-corrupt'
    | 'journal-unreadable'
    | 'unverified-model'
    | 'woke-on-another-model'
    | 'agent-died-unasked'
    | 'server-died-unasked'
    | 'orphans'
    | 'not-converged'
    | 'event-lost'
    | 'event-twice'
    | 'outbox-dropped';
  board: string;
  detail: string;
  /** Kills done by then. */
  kills: number;
}

/** What a run has counted so far; part of its state file. */
export interface Tally {
  kills: Record<Victim, number>;
  /** By victim: in which phase of the board's install it was struck (the server's: of the board that was furthest into one). */
  phases: Record<Victim, Record<string, number>>;
  /** How kills were aimed: at a random time, a phase, a journal write, the start of the agent. */
  aims: Record<string, number>;
  updates: {
    assigned: number;
    converged: number;
    /** Ended by themselves without the release live, by error code; each was assigned again with `retry`. */
    ended: Record<string, number>;
    /** Assigned again because nothing had come of it for long. */
    renewed: number;
  };
  /** Time from a kill until the board detected again on a verified model, ms: one figure per kill and board. */
  recoveriesMs: number[];
  /** Time from the server's restart until all boards were connected again, ms. */
  reconnectsMs: number[];
  findings: Finding[];
}

export function emptyTally(): Tally {
  return {
    kills: { agent: 0, child: 0, server: 0 },
    phases: { agent: {}, child: {}, server: {} },
    aims: {},
    updates: { assigned: 0, converged: 0, ended: {}, renewed: 0 },
    recoveriesMs: [],
    reconnectsMs: [],
    findings: [],
  };
}

export function totalKills(tally: Tally): number {
  return tally.kills.agent + tally.kills.child + tally.kills.server;
}

/** Adds one to a named count. */
export function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

export function countFindings(tally: Tally, ...kinds: Finding['kind'][]): number {
  return tally.findings.filter(({ kind }) => kinds.includes(kind)).length;
}
