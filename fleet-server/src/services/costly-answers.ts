import { Serial } from './serial.js';

/** Answers that are remembered at most. */
const MOST = 16;

interface Made<Answer> {
  answer: Promise<Answer>;
  /** By the clock; infinite while it is made. */
  untilMs: number;
}

/**
 * Answers that take long to make. One is made at a time; who asks the same while it is made, or soon after, gets that one: it is
 * remembered for twice as long as it took, so that making answers never fills the day, and a small fleet notices nothing.
 */
export class CostlyAnswers<Answer> {
  readonly #line = new Serial();
  readonly #known = new Map<string, Made<Answer>>();

  /** `clock`: monotonic, ms. */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** `question`: the same text, the same answer. One that fails is not remembered. */
  get(question: string, make: () => Promise<Answer>): Promise<Answer> {
    const now = this.clock();
    for (const [key, { untilMs }] of this.#known) if (untilMs <= now) this.#known.delete(key);
    const known = this.#known.get(question);
    if (known !== undefined) return known.answer;
    if (this.#known.size >= MOST) this.#known.delete([...this.#known.keys()][0]);
    const made: Made<Answer> = {
      answer: this.#line.run(() => this.#timed(made, make)),
      untilMs: Number.POSITIVE_INFINITY,
    };
    made.answer.catch(() => {
      made.untilMs = Number.NEGATIVE_INFINITY;
    });
    this.#known.set(question, made);
    return made.answer;
  }

  async #timed(made: Made<Answer>, make: () => Promise<Answer>): Promise<Answer> {
    const began = this.clock();
    const answer = await make();
    const now = this.clock();
    made.untilMs = now + 2 * (now - began);
    return answer;
  }
}
