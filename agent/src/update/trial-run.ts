import type { Agreement, TrialPolicy } from '@vigie/protocol';
import type { BoardHeat, Clock, ComparedView, FrameComparison, FrameResult, LiveDetector } from '../ports.js';
import { AgreementMeter } from './agreement.js';
import { TallyCounter } from './comparison-tally.js';
import { tooHot, watchHeat } from './heat.js';
import { DEADLINES_WITHOUT_FRAMES, judgeTrial, type TrialJudgement, type TrialSamples } from './trial.js';

export interface TrialSubject {
  candidateDigest: string;
  /** Time in the child per live frame of the previous model, ms; empty: no yardstick. */
  baselineMs: readonly number[];
  policy: TrialPolicy;
  /** Below this score detections of a model that does not tell its own threshold are not compared. */
  scoreFloor: number;
  /** Absent: a board without sensors. */
  readHeat?(): BoardHeat;
}

/** How a trial ended; `agreement`: on the frames that both models saw, null when there were none. */
export type TrialVerdict = Exclude<TrialJudgement, { verdict: 'pending' }> & { agreement: Agreement | null };

export interface TrialRun {
  /** Settles once: after ten times the policy's deadline at the latest. */
  verdict: Promise<TrialVerdict>;
  /** The candidate's child has died (told by who noticed first). */
  crashed(reason: string): void;
  /** Stops listening. */
  stop(): void;
}

/**
 * Listens to the live detector until the samples give a verdict. Call it right before the pointer turns: a model that is live
 * by then is the one that stays warm, and the candidate's detections are held against it.
 */
export function runTrial(live: LiveDetector, clock: Clock, subject: TrialSubject): TrialRun {
  const { policy, candidateDigest, readHeat = () => NO_SENSOR } = subject;
  const [alone, beside, warm]: number[][] = [[], [], []];
  const agreement = new AgreementMeter();
  const tally = live.active === null ? null : new TallyCounter();
  const droppedBefore = dropsOf(live);
  let crash: string | null = null;
  let hot: string | null = null;
  let time: TrialSamples['time'] = 'early';
  const cleanups: (() => void)[] = [];
  const stop = (): void => {
    for (const off of cleanups.splice(0)) off();
  };
  let settle: (verdict: TrialVerdict) => void;
  const verdict = new Promise<TrialVerdict>((resolve) => {
    settle = resolve;
  });

  const judged = (): TrialJudgement =>
    judgeTrial(
      {
        times: { baseline: subject.baselineMs, alone, beside, warm },
        compared: tally?.tally ?? null,
        crash,
        hot,
        time,
        dropped: dropsOf(live) - droppedBefore,
      },
      policy,
    );
  const judge = (): void => {
    let result = judged();
    if (result.verdict === 'pending') return;
    // A verdict on speed must not slip in between two looks at the thermometer.
    hot ??= tooHot(readHeat(), policy.maxTemperatureC);
    if (hot !== null) result = judged();
    stop();
    if (result.verdict !== 'pending') settle({ ...result, agreement: agreement.agreement });
  };
  const crashed = (reason: string): void => {
    crash ??= reason;
    judge();
  };

  const saw = (result: FrameResult): void => {
    if (result.digest !== candidateDigest) return;
    const { preprocess, inference, decode } = result.stagesMs;
    (result.overlapped === true ? beside : alone).push(preprocess + inference + decode);
    if (alone.length + beside.length >= policy.minFrames) judge();
  };
  const compare = ({ live: now, other }: FrameComparison): void => {
    if (now.digest !== candidateDigest || tally === null) return;
    const [candidate, previous] = [counting(now, subject.scoreFloor), counting(other, subject.scoreFloor)];
    warm.push(other.childMs);
    tally.add(candidate, previous, agreement.add(candidate, previous));
  };
  const at = (ms: number, next: TrialSamples['time']) =>
    clock.after(ms, () => {
      time = next;
      judge();
    });
  cleanups.push(
    live.onResult(saw),
    live.onComparison(compare),
    live.onCrash((event) => {
      if (event.digest === candidateDigest) crashed(event.reason);
    }),
    at(policy.deadlineMs, 'deadline'),
    at(policy.deadlineMs * DEADLINES_WITHOUT_FRAMES, 'overtime'),
    watchHeat({
      after: (ms, run) => clock.after(ms, run),
      readHeat,
      maxTemperatureC: policy.maxTemperatureC,
      hot: (reason) => {
        hot = reason;
        judge();
      },
    }),
  );
  return { verdict, crashed, stop };
}

const NO_SENSOR: BoardHeat = { temperatureC: null, throttled: null };

/**
 * What counts of a model's view: each by its own threshold, as the board uses it. By a common one, a release that only raises
 * its threshold would seem to see as much as before.
 */
export function counting(view: ComparedView, scoreFloor: number): ComparedView {
  const { threshold = scoreFloor } = view;
  return { ...view, detections: view.detections.filter(({ score }) => score >= threshold) };
}

/** Frames lost in the trial. Those of a stop-swap were lost before the candidate could have had them. */
function dropsOf({ drops }: LiveDetector): number {
  return Object.entries(drops).reduce((sum, [reason, count]) => (reason === 'swap' ? sum : sum + count), 0);
}
