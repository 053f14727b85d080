import { expect, it } from 'vitest';
import { HistoryGrowth } from './history-growth.js';

it('names histories that have grown enough, once, and goes on counting the others', () => {
  const growth = new HistoryGrowth();
  for (let row = 0; row < 3; row += 1) growth.add('a', 'events');
  growth.add('a', 'reports');
  growth.add('b', 'events');
  const least = (history: string) => (history === 'events' ? 3 : 2);
  expect(growth.take(least)).toEqual([{ deviceId: 'a', history: 'events' }]);
  expect(growth.take(least)).toEqual([]);
  growth.add('a', 'reports');
  growth.add('a', 'events');
  expect(growth.take(least)).toEqual([{ deviceId: 'a', history: 'reports' }]);
});
