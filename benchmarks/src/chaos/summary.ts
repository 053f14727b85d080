import { percentile } from '../measure/percentiles.js';
import type { EventVerdict } from './event-check.js';
import type { ChaosState } from './state.js';
import { countFindings, type Finding, totalKills } from './tally.js';

/** What is printed at the end; `ok` only when all kills were done and nothing was found. */
export interface ChaosSummary {
  schema: 'vigie.chaos/1';
  ok: boolean;
  seed: number;
  boards: number;
  killsWanted: number;
  kills: Record<string, number>;
  /** By victim, the phase of the install that was struck. */
  phasesHit: Record<string, Record<string, number>>;
  aims: Record<string, number>;
  boardsBlind: number;
  slotsCorrupt: number;
  events: {
    journaled: number;
    acknowledged: number;
    stored: number;
    acknowledgedAndLost: number;
    journaledAndLost: number;
    twice: number;
  };
  updates: ChaosState['tally']['updates'];
  /** From a kill to frames detected again, ms. */
  recoveryMs: { p50: number; p95: number; max: number } | null;
  reconnectMs: { p50: number; p95: number; max: number } | null;
  minutes: number;
  invocations: number;
  findings: Finding[];
}

export function summarise(state: ChaosState, killsWanted: number, events: EventVerdict): ChaosSummary {
  const { tally } = state;
  const total = totalKills(tally);
  return {
    schema: 'vigie.chaos/1',
    ok: total >= killsWanted && tally.findings.length === 0,
    seed: state.seed,
    boards: state.boards,
    killsWanted,
    kills: { total, ...tally.kills },
    phasesHit: tally.phases,
    aims: tally.aims,
    boardsBlind: countFindings(tally, 'blind'),
    slotsCorrupt: countFindings(tally, 'slot-corrupt', 'journal-unreadable'),
    events: {
      journaled: events.journaled,
      acknowledged: events.acknowledged,
      stored: events.stored,
      acknowledgedAndLost: events.acknowledgedLost.length,
      journaledAndLost: events.journaledLost.length,
      twice: events.twice.length,
    },
    updates: tally.updates,
    recoveryMs: spread(tally.recoveriesMs),
    reconnectMs: spread(tally.reconnectsMs),
    minutes: Math.round(state.elapsedMs / 6000) / 10,
    invocations: state.invocations,
    findings: tally.findings,
  };
}

function spread(samples: readonly number[]): ChaosSummary['recoveryMs'] {
  if (samples.length === 0) return null;
  return {
    p50: Math.round(percentile(samples, 0.5)),
    p95: Math.round(percentile(samples, 0.95)),
    max: Math.max(...samples),
  };
}
