import { describe, expect, it } from 'vitest';
import { matchClasses } from './class-map.js';

describe('matchClasses', () => {
  it('goes by name, whatever the order', () => {
    const map = matchClasses(['car', 'person', 'dog'], ['person', 'car', 'tree']);
    expect(map).toMatchObject({
      categoryOf: [1, 0, -1],
      matchedCategories: [0, 1],
      unmatchedLabels: ['dog'],
      unmatchedCategories: ['tree'],
      loose: [],
    });
  });

  it('forgives case and the kind of space, and says so', () => {
    const map = matchClasses(['Traffic_Light'], ['traffic light']);
    expect(map.categoryOf).toEqual([0]);
    expect(map.loose).toEqual([{ label: 'Traffic_Light', category: 'traffic light' }]);
    expect(matchClasses(['a b'], ['A-B', 'a_b']).categoryOf).toEqual([-1]);
  });

  it('follows what is given, several labels to one category too', () => {
    const given = new Map([
      ['car', 'vehicle'],
      ['truck', 'vehicle'],
    ]);
    expect(matchClasses(['car', 'truck'], ['vehicle'], given).categoryOf).toEqual([0, 0]);
  });

  it('refuses names that are not there', () => {
    expect(() => matchClasses(['car'], ['vehicle'], new Map([['cart', 'vehicle']]))).toThrow(
      /no label "cart"; it has car/,
    );
    expect(() => matchClasses(['car'], ['vehicle'], new Map([['car', 'x']]))).toThrow(/no category "x"/);
  });
});
