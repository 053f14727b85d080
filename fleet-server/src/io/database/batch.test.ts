import { expect, it } from 'vitest';
import { Batch } from './batch.js';

it('asks for what gathered in one question, and answers each', async () => {
  const asked: string[][] = [];
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const batch = new Batch<string, number>(2, async (keys) => {
    asked.push([...keys]);
    if (asked.length === 1) await gate;
    if (keys.includes('bad')) throw new Error('no');
    return new Map(keys.filter((key) => key !== 'none').map((key) => [key, key.length]));
  });
  const first = batch.get('a');
  await Promise.resolve();
  await Promise.resolve();
  const others = [batch.get('bb'), batch.get('none'), batch.get('bb'), batch.get('bad')];
  open();
  expect(await Promise.allSettled([first, ...others])).toEqual([
    { status: 'fulfilled', value: 1 },
    { status: 'fulfilled', value: 2 },
    { status: 'fulfilled', value: null },
    { status: 'fulfilled', value: 2 },
    { status: 'rejected', reason: new Error('no') },
  ]);
  expect(asked).toEqual([['a'], ['bb', 'none'], ['bad']]);
  expect(await batch.get('later')).toBe(5);
});
