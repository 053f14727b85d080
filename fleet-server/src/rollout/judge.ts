import type { Instant, Progress, Reason, Rollout, WaveTally } from './model.js';
import type { Wave } from './spec.js';
import { OUTSIDE } from './states.js';

/** The figures of a wave that its judgement stands on. All are numbers of boards. */
export interface WaveFigures {
  /** Members without those that have no part in it. */
  boards: number;
  /** Judged: succeeded + failed + timed out. What success is counted over. */
  reached: number;
  succeeded: number;
  failed: number;
  timedOut: number;
  /** Put off, cannot take it, offline: shown apart, counted against nobody. */
  deferred: number;
  declined: number;
  unreachable: number;
  out: number;
  coming: number;
  silent: number;
}

export function figuresOf(tally: WaveTally | undefined): WaveFigures {
  const count = (state: keyof WaveTally['states']) => tally?.states[state] ?? 0;
  const all = Object.values(tally?.states ?? {}).reduce((sum, one) => sum + one, 0);
  return {
    boards: all - OUTSIDE.reduce((sum, state) => sum + count(state), 0),
    reached: count('succeeded') + count('failed') + count('timed-out'),
    succeeded: count('succeeded'),
    failed: count('failed'),
    timedOut: count('timed-out'),
    deferred: count('deferred'),
    declined: count('declined'),
    unreachable: tally?.unreachable ?? 0,
    out: tally?.out ?? 0,
    coming: tally?.coming ?? 0,
    silent: tally?.silent ?? 0,
  };
}

/** The rules of the present wave; those of the last one also hold where a winner is promoted and while it follows. */
export function ruleOf({ spec, progress }: Pick<Rollout, 'spec' | 'progress'>): Wave {
  return spec.waves[Math.min(progress.wave, spec.waves.length - 1)];
}

export type WaveVerdict =
  | { kind: 'go-on' }
  /** Nothing is outstanding and the thresholds hold: the soak may begin. */
  | { kind: 'settled' }
  | { kind: 'breach'; reason: Reason }
  | { kind: 'inconclusive'; reason: Reason };

/**
 * Judges a wave by its counts. Errors count at once; success only when nothing is outstanding any more (or at the deadline),
 * over boards that were reached. `pending`: boards of this wave and of earlier ones that can be told and have not been yet.
 * `late`: the deadline has passed.
 */
export function judgeWave(rule: Wave, figures: WaveFigures, pending: number, late: boolean): WaveVerdict {
  const { boards, reached, succeeded, failed, timedOut } = figures;
  const settled = figures.out === 0 && pending === 0;
  const { count, share, minimum } = rule.errors;
  if (count !== undefined && failed > count) return breach('TOO_MANY_ERRORS', `${failed} boards failed, ${count} may`);
  if (share !== undefined && reached > 0 && failed / reached > share && (reached >= minimum || settled))
    return breach('TOO_MANY_ERRORS', `${failed} of ${reached} reached boards failed, at most ${percent(share)} may`);
  if (!settled && !(late && figures.out === 0)) return { kind: 'go-on' };
  const enough = boards === 0 || rule.minReachedShare === 0 || reached >= Math.max(1, rule.minReachedShare * boards);
  if (!enough) {
    if (!late) return { kind: 'go-on' };
    return ask(
      'TOO_FEW_REACHED',
      `only ${reached} of ${boards} boards were reached and judged, ${percent(rule.minReachedShare)} are needed (${figures.unreachable} unreachable, ${figures.deferred} deferred, ${figures.declined} declined)`,
    );
  }
  if (reached === 0 || succeeded / reached >= rule.successShare) return { kind: 'settled' };
  const text = `${succeeded} of ${reached} reached boards succeeded, ${percent(rule.successShare)} are needed`;
  return (succeeded + timedOut) / reached < rule.successShare
    ? breach('TOO_FEW_SUCCEEDED', text)
    : ask('TOO_FEW_SUCCEEDED', `${text}; ${timedOut} were not ready in time`);
}

/** Boards that succeeded and then went silent speak against the release, but prove nothing. */
export function judgeSilence(rule: Wave, { succeeded, silent }: WaveFigures): WaveVerdict {
  if (succeeded === 0 || (succeeded - silent) / succeeded >= rule.successShare) return { kind: 'settled' };
  return ask('WENT_SILENT', `${silent} of ${succeeded} boards went offline after they had the release`);
}

/** End of the soak; null while it has not begun. */
export function soakEnds(rule: Wave, { soakingSince }: Progress): Instant | null {
  return soakingSince === null ? null : soakingSince + rule.soakSeconds * 1000;
}

export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}

function breach(code: Reason['code'], text: string): WaveVerdict {
  return { kind: 'breach', reason: { code, text } };
}

function ask(code: Reason['code'], text: string): WaveVerdict {
  return { kind: 'inconclusive', reason: { code, text } };
}
