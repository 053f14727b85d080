import { describe, expect, it } from 'vitest';
import { CostlyAnswers } from './costly-answers.js';

/** Answers by the clock of the test: making one takes `ms`. */
function answersAt(ms: number) {
  const time = { now: 0 };
  const made: string[] = [];
  const answers = new CostlyAnswers<string>(() => time.now);
  const ask = (question: string) =>
    answers.get(question, async () => {
      await null;
      time.now += ms;
      made.push(question);
      return `${question} at ${time.now}`;
    });
  return { time, made, answers, ask };
}

describe('answers that take long to make', () => {
  it('are made once for all who ask meanwhile, and for twice as long as it took', async () => {
    const { time, made, ask } = answersAt(100);
    expect(await Promise.all([ask('a'), ask('a'), ask('a')])).toEqual(['a at 100', 'a at 100', 'a at 100']);
    time.now = 299;
    expect(await ask('a')).toBe('a at 100');
    time.now = 300;
    expect(await ask('a')).toBe('a at 400');
    expect(made).toEqual(['a', 'a']);
  });

  it('are made one at a time, in order', async () => {
    const { made, ask } = answersAt(100);
    expect(await Promise.all([ask('a'), ask('b')])).toEqual(['a at 100', 'b at 200']);
    expect(made).toEqual(['a', 'b']);
  });

  it('are not remembered when they fail', async () => {
    const { answers } = answersAt(1);
    const fails = () => Promise.reject(new Error('the database is away'));
    await expect(answers.get('a', fails)).rejects.toThrow('away');
    await expect(answers.get('a', async () => 'there again')).resolves.toBe('there again');
  });

  it('are forgotten when there are too many', async () => {
    const { made, ask } = answersAt(100);
    for (let index = 0; index < 17; index += 1) void ask(String(index));
    await ask('0');
    expect(made.filter((question) => question === '0')).toHaveLength(2);
    expect(made).toHaveLength(18);
  });
});
