import type { InstallErrorCode, TrialPolicy } from '@vigie/protocol';
import type { ComparisonTally } from './comparison-tally.js';
import { judgeLatency, MIN_TIMES, type TrialTimes } from './trial-latency.js';

/** Detections of the previous model, on the compared frames, from which a ratio means something. */
const MIN_PREVIOUS_DETECTIONS = 5;
/** A candidate with a doubtful p95 may have so many times `minFrames` before it is judged as it stands. */
const PATIENCE = 3;
/** A trial whose camera gives too few frames is given up after so many deadlines. */
export const DEADLINES_WITHOUT_FRAMES = 10;

export interface TrialSamples {
  times: TrialTimes;
  /** What both have seen; null: no model is there to compare with (the first one, or a stop-swap). */
  compared: ComparisonTally | null;
  /** Why the candidate's child died; null: it lives. */
  crash: string | null;
  /** Why the board is too hot to be judged on; null: it is not. */
  hot: string | null;
  /** `deadline`: the policy's deadline has passed; `overtime`: ten times that. */
  time: 'early' | 'deadline' | 'overtime';
  /** Frames that the camera delivered in the trial and nobody detected on. */
  dropped: number;
}

export type TrialJudgement =
  | { verdict: 'pending' }
  | { verdict: 'good'; reason: string }
  | { verdict: 'bad'; code: InstallErrorCode; message: string }
  /** Nothing was learned about the model: turned back, and not held against it. */
  | { verdict: 'inconclusive'; code: 'TRIAL_HOT' | 'TRIAL_NO_FRAMES'; message: string };

const PENDING: TrialJudgement = { verdict: 'pending' };

/** Judges a candidate by its samples so far. Called again with more samples until it is no longer pending. */
export function judgeTrial(samples: TrialSamples, policy: TrialPolicy): TrialJudgement {
  const { times, crash, hot, time } = samples;
  if (crash !== null) return bad('TRIAL_CHILD_CRASHED', `the candidate's process died: ${crash}`);
  const frames = times.alone.length + times.beside.length;
  const enough = frames >= policy.minFrames;
  const detections = judgeDetections(samples.compared, policy, time === 'early');
  // Heat makes a model slow, never blind: what it does not see it would not see on a cool board either.
  if (hot !== null) return enough && detections.verdict === 'bad' ? detections : inconclusive('TRIAL_HOT', hot);
  if (!enough) return judgeFew(samples, policy, frames);
  const patient = time === 'early' && frames < policy.minFrames * PATIENCE;
  const latency = judgeLatency(times, policy, patient);
  if (latency.verdict === 'slow') return bad('TRIAL_TOO_SLOW', latency.figures);
  if (detections.verdict === 'bad') return detections;
  if (latency.verdict === 'pending' || detections.verdict !== 'good') return PENDING;
  return { verdict: 'good', reason: `${latency.figures}; ${detections.reason}` };
}

/** Fewer frames than asked for: wait for the camera, but neither for a child that hangs nor for ever. */
function judgeFew(samples: TrialSamples, policy: TrialPolicy, frames: number): TrialJudgement {
  const { times, time, dropped } = samples;
  if (time === 'early') return PENDING;
  if (frames === 0 && dropped > 0) {
    return bad('TRIAL_TOO_SLOW', `no result within ${policy.deadlineMs} ms while ${dropped} frames were dropped`);
  }
  if (frames >= MIN_TIMES) {
    const latency = judgeLatency(times, policy, time !== 'overtime');
    if (latency.verdict === 'slow') return bad('TRIAL_TOO_SLOW', latency.figures);
  }
  if (time !== 'overtime') return PENDING;
  const seconds = Math.round((policy.deadlineMs * DEADLINES_WITHOUT_FRAMES) / 1000);
  return inconclusive('TRIAL_NO_FRAMES', `${frames} of ${policy.minFrames} frames within ${seconds} s`);
}

/**
 * Detections that collapse against the previous model's on the same frames. A scene with nothing in it says nothing: until the
 * deadline something may come along, after it the candidate passes with a word on how little there was.
 */
function judgeDetections(compared: ComparisonTally | null, policy: TrialPolicy, early: boolean): TrialJudgement {
  if (compared === null) return { verdict: 'good', reason: 'no other model to compare with' };
  const { frames, previous, candidate, incomparable } = compared;
  if (policy.minDetectionRatio === 0) return { verdict: 'good', reason: 'detections not judged, as asked' };
  if (incomparable !== null) return { verdict: 'good', reason: `detections not compared: ${incomparable}` };
  const figures = `${candidate} detections where the previous model had ${previous}, on ${frames} frames`;
  const holds = candidate >= previous * policy.minDetectionRatio;
  if (previous >= MIN_PREVIOUS_DETECTIONS && !holds) {
    return bad('TRIAL_DISAGREES', `${figures}; at least × ${policy.minDetectionRatio} is wanted`);
  }
  if (previous > 0 && holds) return { verdict: 'good', reason: figures };
  return early ? PENDING : { verdict: 'good', reason: `${figures}: too few to judge` };
}

function bad(code: InstallErrorCode, message: string): TrialJudgement {
  return { verdict: 'bad', code, message };
}

function inconclusive(code: 'TRIAL_HOT' | 'TRIAL_NO_FRAMES', message: string): TrialJudgement {
  return { verdict: 'inconclusive', code, message };
}
