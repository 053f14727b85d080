import { describe, expect, test } from 'vitest';
import type { ComparisonTally } from './comparison-tally.js';
import { judgeTrial, type TrialSamples } from './trial.js';

const policy = {
  minFrames: 20,
  compareEvery: 5,
  maxLatencyRatio: 3,
  minDetectionRatio: 0.3,
  maxTemperatureC: 80,
  deadlineMs: 30_000,
};
const times = (count: number, ms: number) => Array.from({ length: count }, () => ms);
const tally = (candidate: number, previous: number, changes: Partial<ComparisonTally> = {}): ComparisonTally => ({
  frames: 4,
  candidate,
  previous,
  incomparable: null,
  ...changes,
});

type Changes = Partial<Omit<TrialSamples, 'times'>> & Partial<TrialSamples['times']>;
const judge = (
  { baseline = times(50, 10), alone = times(20, 10), beside = [], warm = [], ...changes }: Changes,
  asked: Partial<typeof policy> = {},
) => {
  const all = { baseline, alone, beside, warm };
  const base = { compared: tally(12, 12), crash: null, hot: null, time: 'early' as const, dropped: 0 };
  return judgeTrial({ ...base, ...changes, times: all }, { ...policy, ...asked });
};
const code = (changes: Changes) => {
  const judgement = judge(changes);
  return 'code' in judgement ? judgement.code : judgement.verdict;
};
const reason = (changes: Changes) => {
  const judgement = judge(changes);
  return judgement.verdict === 'good' ? judgement.reason : judgement.verdict;
};

describe('a trial', () => {
  test('is pending until it has seen enough frames, alone or beside the other model', () => {
    expect(code({ alone: times(19, 10) })).toBe('pending');
    expect(code({ alone: times(20, 10) })).toBe('good');
    expect(code({ alone: times(15, 10), beside: times(5, 10) })).toBe('good');
  });

  test('is bad as soon as the child has died, on a hot board too', () => {
    expect(code({ alone: [], crash: 'SIGSEGV' })).toBe('TRIAL_CHILD_CRASHED');
    expect(code({ crash: 'SIGSEGV', hot: 'the board is at 90 °C' })).toBe('TRIAL_CHILD_CRASHED');
  });
});

describe('a camera that gives too few frames', () => {
  test('is waited for over the deadline, and given up in the end without a word on the model', () => {
    expect(code({ alone: [], time: 'deadline' })).toBe('pending');
    expect(code({ alone: [], time: 'overtime' })).toBe('TRIAL_NO_FRAMES');
    expect(code({ alone: times(3, 10), time: 'deadline' })).toBe('pending');
    expect(code({ alone: times(19, 10), time: 'overtime' })).toBe('TRIAL_NO_FRAMES');
    expect(judge({ alone: times(19, 10), time: 'overtime' }).verdict).toBe('inconclusive');
  });

  test('is not what a child that hangs, or is far too slow, can hide behind', () => {
    expect(code({ alone: [], time: 'deadline', dropped: 40 })).toBe('TRIAL_TOO_SLOW');
    expect(code({ alone: times(10, 2000), time: 'early' })).toBe('pending');
    expect(code({ alone: times(10, 2000), time: 'deadline' })).toBe('TRIAL_TOO_SLOW');
    expect(code({ alone: times(7, 2000), time: 'deadline' })).toBe('pending');
  });
});

describe('latency', () => {
  test('does not count pauses that the previous model had in the same time', () => {
    const paused = [...times(54, 10), ...times(6, 80)];
    expect(code({ alone: paused, warm: [...times(11, 10), 80] })).toBe('good');
    expect(code({ alone: paused, warm: times(12, 10) })).toBe('TRIAL_TOO_SLOW');
    expect(code({ alone: paused, warm: [80, 80, 80] })).toBe('TRIAL_TOO_SLOW');
    expect(code({ alone: times(60, 80), warm: times(12, 80) })).toBe('TRIAL_TOO_SLOW');
  });

  test('is too slow beyond the ratio, exactly at it not', () => {
    expect(code({ alone: times(20, 30) })).toBe('good');
    expect(code({ alone: times(20, 30.1) })).toBe('TRIAL_TOO_SLOW');
  });

  test('forgives one pause, asks for more when only the tail is slow, and then believes it', () => {
    expect(code({ alone: [...times(19, 10), 200] })).toBe('good');
    const tail = (count: number) => [...times(count * 0.8, 10), ...times(count * 0.2, 200)];
    expect(code({ alone: tail(20) })).toBe('pending');
    expect(code({ alone: tail(60) })).toBe('TRIAL_TOO_SLOW');
    expect(code({ alone: tail(20), time: 'deadline' })).toBe('TRIAL_TOO_SLOW');
  });

  test('leaves out the frames on which the previous model was at work too', () => {
    expect(code({ alone: times(16, 10), beside: times(4, 60) })).toBe('good');
    expect(code({ alone: times(16, 60), beside: times(4, 10) })).toBe('TRIAL_TOO_SLOW');
  });

  test('where no frame is the candidate’s own, holds it against the previous model in the same squeeze', () => {
    const squeezed = { alone: [], beside: times(20, 60) };
    expect(code({ ...squeezed, warm: times(20, 50) })).toBe('good');
    expect(code({ ...squeezed, warm: times(20, 15) })).toBe('TRIAL_TOO_SLOW');
    expect(code({ ...squeezed, warm: times(3, 50) })).toBe('pending');
    expect(reason({ ...squeezed, warm: times(3, 50), time: 'deadline' })).toContain('no latency to compare with');
  });

  test('is judged by as few frames as are asked for', () => {
    expect(judge({ alone: times(3, 10) }, { minFrames: 3 }).verdict).toBe('good');
    expect(judge({ alone: times(3, 31) }, { minFrames: 3 })).toMatchObject({ code: 'TRIAL_TOO_SLOW' });
  });

  test('is not judged without a yardstick', () => {
    expect(code({ baseline: times(7, 10), alone: times(20, 500) })).toBe('good');
    expect(code({ baseline: times(8, 10), alone: times(20, 500) })).toBe('TRIAL_TOO_SLOW');
  });
});

describe('detections on the same frames', () => {
  test('collapse below the ratio, exactly at it not', () => {
    expect(code({ compared: tally(3, 10) })).toBe('good');
    expect(code({ compared: tally(2, 10) })).toBe('TRIAL_DISAGREES');
    expect(code({ compared: tally(0, 5) })).toBe('TRIAL_DISAGREES');
  });

  test('too few to judge: something may come along until the deadline', () => {
    expect(code({ compared: tally(0, 4) })).toBe('pending');
    expect(code({ compared: tally(0, 4), alone: times(400, 10) })).toBe('pending');
    expect(reason({ compared: tally(0, 4), time: 'deadline' })).toContain('too few to judge');
    expect(code({ compared: tally(1, 1) })).toBe('good');
  });

  test('of an empty scene say nothing, however many frames it has', () => {
    expect(code({ compared: tally(0, 0) })).toBe('pending');
    expect(code({ compared: tally(9, 0) })).toBe('pending');
    expect(reason({ compared: tally(0, 0), time: 'deadline' })).toContain(
      '0 detections where the previous model had 0',
    );
  });

  test('cannot be held against another kind of model, and the verdict says so', () => {
    const incomparable = 'the two models have no label in common';
    expect(reason({ compared: tally(0, 50, { incomparable }) })).toContain(incomparable);
    expect(code({ compared: tally(0, 50, { incomparable }), alone: times(20, 31) })).toBe('TRIAL_TOO_SLOW');
  });

  test('are neither judged nor waited for when nothing is asked of them', () => {
    expect(judge({ compared: tally(0, 50) }, { minDetectionRatio: 0 }).verdict).toBe('good');
    expect(judge({ compared: tally(0, 0) }, { minDetectionRatio: 0 }).verdict).toBe('good');
  });

  test('are not waited for where no other model is there', () => {
    expect(reason({ compared: null })).toContain('no other model');
  });
});

describe('a hot board', () => {
  const hot = 'the board is at 83 °C';

  test('makes a trial inconclusive, be the candidate fast or slow', () => {
    for (const ms of [1, 10, 500]) {
      expect(judge({ hot, alone: times(20, ms) })).toEqual({
        verdict: 'inconclusive',
        code: 'TRIAL_HOT',
        message: hot,
      });
    }
    expect(code({ hot, alone: [] })).toBe('TRIAL_HOT');
    expect(code({ hot, alone: [], time: 'overtime', dropped: 9 })).toBe('TRIAL_HOT');
  });

  test('is no excuse for a model that does not see', () => {
    expect(code({ hot, compared: tally(0, 10) })).toBe('TRIAL_DISAGREES');
    expect(code({ hot, compared: tally(0, 10), alone: times(5, 10) })).toBe('TRIAL_HOT');
  });
});
