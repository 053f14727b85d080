import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { LEFT_OUT, ON_BOTH } from './engine-lists.js';

it('every test of the server runs on both engines, or says why not', () => {
  const all = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'));
  expect([...ON_BOTH, ...Object.keys(LEFT_OUT)].sort()).toEqual(all.sort());
});
