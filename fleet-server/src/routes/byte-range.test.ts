import { expect, it } from 'vitest';
import { parseRange } from './byte-range.js';

it.each([
  ['bytes=0-99', { kind: 'part', offset: 0, length: 100 }],
  ['bytes=500-999', { kind: 'part', offset: 500, length: 500 }],
  ['bytes=500-5000', { kind: 'part', offset: 500, length: 500 }],
  ['bytes=999-', { kind: 'part', offset: 999, length: 1 }],
  ['bytes=-10', { kind: 'part', offset: 990, length: 10 }],
  ['bytes=-5000', { kind: 'part', offset: 0, length: 1000 }],
  ['bytes=1000-', { kind: 'impossible' }],
  ['bytes=1000-2000', { kind: 'impossible' }],
  ['bytes=-0', { kind: 'impossible' }],
  ['bytes=20-10', { kind: 'whole' }],
  ['bytes=0-1,5-6', { kind: 'whole' }],
  ['items=0-1', { kind: 'whole' }],
  ['bytes=-', { kind: 'whole' }],
  [undefined, { kind: 'whole' }],
])('parseRange %s of 1000 bytes', (header, expected) => {
  expect(parseRange(header, 1000)).toEqual(expected);
});
