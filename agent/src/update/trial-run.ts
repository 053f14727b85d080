import type { TrialPolicy } from '@vigie/protocol';
import type { Clock, LiveDetector } from '../ports.js';
import { judgeTrial, type TrialVerdict } from './trial.js';

export interface TrialSubject {
  candidateDigest: string;
  /** Time in the child per live frame of the previous model, ms; empty: no yardstick. */
  baselineMs: readonly number[];
  policy: TrialPolicy;
  /** Detections below this score are not counted when the two models are compared. */
  scoreFloor: number;
}

export interface TrialRun {
  /** Settles once, with `good` or `bad`. */
  verdict: Promise<Exclude<TrialVerdict, { verdict: 'pending' }>>;
  /** The candidate's child has died (told by who noticed first). */
  crashed(reason: string): void;
  /** Stops listening. */
  stop(): void;
}

/** Listens to the live detector until the samples give a verdict. */
export function runTrial(live: LiveDetector, clock: Clock, subject: TrialSubject): TrialRun {
  const { policy, candidateDigest, scoreFloor } = subject;
  const candidateMs: number[] = [];
  const comparisons: { candidate: number; previous: number }[] = [];
  const droppedBefore = total(live.drops);
  let crash: string | null = null;
  let cancelTimer = () => {};
  let settle: (verdict: Exclude<TrialVerdict, { verdict: 'pending' }>) => void;
  const verdict = new Promise<Exclude<TrialVerdict, { verdict: 'pending' }>>((resolve) => {
    settle = resolve;
  });
  const judge = (final: boolean): void => {
    const dropped = total(live.drops) - droppedBefore;
    const result = judgeTrial(
      { baselineMs: subject.baselineMs, candidateMs, comparisons, crash, final, dropped },
      policy,
    );
    if (result.verdict === 'pending') return;
    stop();
    settle(result);
  };
  const count = (detections: readonly { score: number }[]): number =>
    detections.filter((detection) => detection.score >= scoreFloor).length;

  const unsubscribe = [
    live.onResult((result) => {
      if (result.digest !== candidateDigest) return;
      const { preprocess, inference, decode } = result.stagesMs;
      candidateMs.push(preprocess + inference + decode);
      if (candidateMs.length >= policy.minFrames) judge(false);
    }),
    live.onComparison(({ live: now, other }) => {
      if (now.digest !== candidateDigest) return;
      comparisons.push({ candidate: count(now.detections), previous: count(other.detections) });
    }),
    live.onCrash((event) => {
      if (event.digest === candidateDigest) crashed(event.reason);
    }),
  ];
  const crashed = (reason: string): void => {
    crash ??= reason;
    judge(false);
  };
  const stop = (): void => {
    cancelTimer();
    for (const off of unsubscribe.splice(0)) off();
  };
  const arm = (): void => {
    cancelTimer = clock.after(policy.deadlineMs, () => {
      arm();
      judge(true);
    });
  };
  arm();
  return { verdict, crashed, stop };
}

function total(drops: Readonly<Record<string, number>>): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}
