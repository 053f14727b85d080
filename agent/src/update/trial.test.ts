import { describe, expect, test } from 'vitest';
import { judgeTrial, type TrialSamples } from './trial.js';

const policy = {
  minFrames: 20,
  compareEvery: 5,
  maxLatencyRatio: 3,
  minDetectionRatio: 0.3,
  maxTemperatureC: 80,
  deadlineMs: 30_000,
};
const frames = (count: number, ms: number) => Array.from({ length: count }, () => ms);
const samples = (changes: Partial<TrialSamples>): TrialSamples => ({
  baselineMs: frames(50, 10),
  candidateMs: frames(20, 10),
  comparisons: [],
  crash: null,
  final: false,
  dropped: 0,
  ...changes,
});
const code = (changes: Partial<TrialSamples>) => {
  const verdict = judgeTrial(samples(changes), policy);
  return verdict.verdict === 'bad' ? verdict.code : verdict.verdict;
};

describe('a trial', () => {
  test('is pending until it has seen enough frames, and ends as it stands at the deadline', () => {
    expect(code({ candidateMs: frames(19, 10) })).toBe('pending');
    expect(code({ candidateMs: frames(20, 10) })).toBe('good');
    expect(code({ candidateMs: frames(3, 10), final: true })).toBe('good');
  });

  test('is bad as soon as the child has died', () => {
    expect(code({ candidateMs: [], crash: 'SIGSEGV' })).toBe('TRIAL_CHILD_CRASHED');
  });

  test('without any result waits for the camera, but not for a child that hangs', () => {
    expect(code({ candidateMs: [], final: true })).toBe('pending');
    expect(code({ candidateMs: [], final: true, dropped: 40 })).toBe('TRIAL_TOO_SLOW');
  });

  test('is too slow beyond the ratio, exactly at it not', () => {
    expect(code({ candidateMs: frames(20, 30) })).toBe('good');
    expect(code({ candidateMs: frames(20, 30.1) })).toBe('TRIAL_TOO_SLOW');
  });

  test('forgives one pause, asks for more when only the tail is slow, and then believes it', () => {
    expect(code({ candidateMs: [...frames(19, 10), 200] })).toBe('good');
    const tail = (count: number) => [...frames(count * 0.8, 10), ...frames(count * 0.2, 200)];
    expect(code({ candidateMs: tail(20) })).toBe('pending');
    expect(code({ candidateMs: tail(60) })).toBe('TRIAL_TOO_SLOW');
    expect(code({ candidateMs: tail(20), final: true })).toBe('TRIAL_TOO_SLOW');
  });

  test('does not judge latency without a yardstick', () => {
    expect(code({ baselineMs: frames(3, 10), candidateMs: frames(20, 500) })).toBe('good');
  });

  test('disagrees when it sees too little of what the previous model sees on the same frames', () => {
    const pairs = (candidate: number, previous: number, count: number) =>
      Array.from({ length: count }, () => ({ candidate, previous }));
    expect(code({ comparisons: pairs(1, 3, 4) })).toBe('good');
    expect(code({ comparisons: pairs(0, 3, 4) })).toBe('TRIAL_DISAGREES');
    expect(code({ comparisons: pairs(0, 1, 4) })).toBe('pending');
    expect(code({ comparisons: pairs(0, 1, 4), candidateMs: frames(60, 10) })).toBe('good');
    expect(code({ comparisons: pairs(0, 0, 4) })).toBe('good');
  });
});
