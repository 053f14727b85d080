import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rank } from './pglite-messages.js';
import { StatementLine } from './statement-line.js';

type Asked = { rank: Rank; place: number; ms: number };

function lineOf(...asked: readonly (readonly [Rank, ms: number])[]) {
  const line = new StatementLine<Asked>();
  for (const [place, [rank, ms]] of asked.entries()) line.add({ rank, place, ms });
  return line;
}

/** Serves until nobody waits, or for so long; what was served, in order. */
function serve(line: StatementLine<Asked>, forMs = Number.POSITIVE_INFINITY): Asked[] {
  const served: Asked[] = [];
  for (let left = forMs; left > 0; ) {
    const next = line.take();
    if (next === undefined) break;
    served.push(next);
    line.served(next.ms);
    left -= next.ms;
  }
  return served;
}
const many = (count: number, rank: Rank, ms: number) => Array.from({ length: count }, () => [rank, ms] as const);
const spent = (served: readonly Asked[], rank: Rank) =>
  served.reduce((sum, one) => sum + (one.rank === rank ? one.ms : 0), 0);

describe('StatementLine', () => {
  it('serves each rank in its order, and the end when nobody else waits', () => {
    const line = lineOf(['last', 1], ...many(3, 'background', 5), ...many(3, 'fleet', 5), ...many(3, 'foreground', 5));
    const served = serve(line);
    for (const rank of ['foreground', 'fleet', 'background'] as const) {
      const places = served.filter((one) => one.rank === rank).map(({ place }) => place);
      expect(places).toEqual([...places].sort((a, b) => a - b));
    }
    expect(served).toHaveLength(10);
    expect(served.at(-1)?.rank).toBe('last');
    expect(line.take()).toBeUndefined();
  });

  it('lets a question go before messages that have waited for long, as soon as the one under way is done', () => {
    const line = lineOf(...many(50, 'fleet', 20));
    serve(line, 400);
    for (let question = 0; question < 5; question += 1) {
      const underWay = line.take() as Asked;
      line.add({ rank: 'foreground', place: 100 + question, ms: 3 });
      line.served(underWay.ms);
      const next = line.take() as Asked;
      expect(next.rank).toBe('foreground');
      line.served(next.ms);
    }
  });

  it('shares the time, not the turns, when all have more to do than there is time for', () => {
    const line = lineOf(...many(4000, 'foreground', 1), ...many(200, 'fleet', 25), ...many(400, 'background', 10));
    const served = serve(line, 3400);
    expect(spent(served, 'foreground') / 3400).toBeCloseTo(4 / 13, 1);
    expect(spent(served, 'fleet') / 3400).toBeCloseTo(8 / 13, 1);
    expect(spent(served, 'background') / 3400).toBeCloseTo(1 / 13, 1);
  });

  it('keeps no time for a rank that wanted none', () => {
    const line = lineOf(...many(100, 'fleet', 10));
    serve(line);
    for (const [rank, ms] of [...many(100, 'foreground', 10), ...many(100, 'fleet', 10)])
      line.add({ rank, place: 0, ms });
    const fleet = spent(serve(line, 1000), 'fleet');
    expect(fleet).toBeGreaterThan(600);
    expect(fleet).toBeLessThan(720);
  });

  it('forgets what a rank took while nobody else wanted anything', () => {
    const line = lineOf(['foreground', 10_000]);
    serve(line);
    for (const [rank, ms] of [...many(20, 'fleet', 20), ...many(1, 'foreground', 3)]) line.add({ rank, place: 0, ms });
    expect(
      serve(line)
        .map((one) => one.rank)
        .indexOf('foreground'),
    ).toBeLessThanOrEqual(1);
  });

  it('keeps nobody waiting for good: of two that wait none is further ahead of its share than by its longest one', () => {
    const rank = fc.constantFrom<Rank>('foreground', 'fleet');
    fc.assert(
      fc.property(fc.array(fc.tuple(rank, fc.integer({ min: 1, max: 300 })), { maxLength: 200 }), (asked) => {
        const line = lineOf(...asked);
        const left = { foreground: 0, fleet: 0 } as Record<Rank, number>;
        for (const [one] of asked) left[one] += 1;
        const time = { foreground: 0, fleet: 0 } as Record<Rank, number>;
        for (const { rank: one, ms } of serve(line)) {
          const other = one === 'fleet' ? 'foreground' : 'fleet';
          if (left.foreground > 0 && left.fleet > 0) expect(time[one]).toBeLessThanOrEqual(time[other] + 300 / 4);
          left[one] -= 1;
          time[one] += ms / (one === 'fleet' ? 8 : 4);
        }
        return left.foreground === 0 && left.fleet === 0;
      }),
    );
  });
});
