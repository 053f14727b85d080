import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { MemberCount } from '../io/database/rollout-views.js';
import { OUTSIDE } from '../rollout/states.js';

/** Counts of a wave as people read them. Success is `succeeded / reached`; everything else stands apart. */
export interface WaveView {
  name: string;
  index: number;
  state: 'waiting' | 'approval' | 'open' | 'soaking' | 'done';
  boards: number;
  reached: number;
  succeeded: number;
  failed: number;
  timedOut: number;
  atWork: number;
  waiting: number;
  unreachable: number;
  deferred: number;
  declined: number;
  turnedBack: number;
  /** Not part of the wave's arithmetic: already had it, not certified, taken over, left. */
  outside: number;
  successShare: number | null;
}

/** A rollout as the API shows it in lists. */
export function summaryOf(rollout: StoredRollout, counts: readonly MemberCount[]) {
  const { id, spec, state, progress, createdBy, createdAt, startAt, startedAt, endedAt, updatedAt } = rollout;
  return {
    ...{ id, title: spec.title, release: spec.release, state, reason: progress.reason },
    ...{
      createdBy,
      createdAt,
      startAt,
      startedAt: startedAt === null ? null : new Date(startedAt),
      endedAt,
      updatedAt,
    },
    phase: progress.phase,
    wave: progress.wave,
    waves: spec.waves.length,
    totals: totals(counts),
  };
}

/** One rollout with its waves and the reasons of its boards. */
export function detailOf(rollout: StoredRollout, counts: readonly MemberCount[]) {
  const { spec, progress } = rollout;
  const names = [...spec.waves.map(({ name }) => name), 'late'];
  const waves = names.flatMap((name, index) => {
    const own = counts.filter((row) => row.wave === index);
    if (index === spec.waves.length && own.length === 0) return [];
    return [waveOf(rollout, name, index, own)];
  });
  const reasons = counts
    .filter(({ code }) => code !== null)
    .map(({ wave, state, code, count, example }) => ({
      wave: names[wave] ?? String(wave),
      state,
      code,
      count,
      example,
    }))
    .sort((a, b) => b.count - a.count);
  const cohorts =
    spec.comparison === undefined ? null : { A: cohort(counts, 'A'), B: cohort(counts, 'B'), winner: progress.winner };
  return {
    ...summaryOf(rollout, counts),
    revision: rollout.revision,
    approvals: progress.approvals,
    spec,
    cohorts,
    stages: waves,
    reasons,
  };
}

function waveOf(
  { state, progress }: StoredRollout,
  name: string,
  index: number,
  own: readonly MemberCount[],
): WaveView {
  const count = (...states: MemberCount['state'][]) => sum(own.filter((row) => states.includes(row.state)));
  const outside = count(...OUTSIDE);
  const [succeeded, failed, timedOut] = [count('succeeded'), count('failed'), count('timed-out')];
  const reached = succeeded + failed + timedOut;
  return {
    ...{
      name,
      index,
      state: stageOf(state, progress, index),
      boards: sum(own) - outside,
      reached,
      succeeded,
      failed,
      timedOut,
    },
    atWork: count('offered', 'in-progress'),
    ...{ waiting: count('waiting'), unreachable: count('unreachable'), deferred: count('deferred') },
    ...{ declined: count('declined'), turnedBack: count('turning-back', 'turned-back'), outside },
    successShare: reached === 0 ? null : succeeded / reached,
  };
}

function stageOf(state: StoredRollout['state'], progress: StoredRollout['progress'], index: number): WaveView['state'] {
  if (progress.phase === 'planning' || index > progress.wave) return 'waiting';
  if (index < progress.wave || state === 'succeeded') return 'done';
  if (progress.phase === 'approval') return 'approval';
  if (progress.phase === 'soaking') return 'soaking';
  return progress.phase === 'open' || progress.phase === 'promoting' ? 'open' : 'done';
}

function totals(counts: readonly MemberCount[]): Partial<Record<MemberCount['state'], number>> {
  const found: Partial<Record<MemberCount['state'], number>> = {};
  for (const { state, count } of counts) found[state] = (found[state] ?? 0) + count;
  return found;
}

function cohort(counts: readonly MemberCount[], which: 'A' | 'B') {
  return totals(counts.filter((row) => row.cohort === which));
}

function sum(rows: readonly MemberCount[]): number {
  return rows.reduce((total, { count }) => total + count, 0);
}
