import { describe, expect, it } from 'vitest';
import { jsonLine } from './json-line.js';

const text = `{
  "a}": "\\"]{",
  "list": [
    {"x": 1}, [ [], {} ],
    {"y": [10,
      20]}
  ], "list2": null,
  "last": true
}`;

describe('jsonLine', () => {
  it.each([
    [[], 1],
    [['list'], 3],
    [['list', 0, 'x'], 4],
    [['list', 1, 1], 4],
    [['list', 2, 'y', 1], 6],
    [['list2'], 7],
    [['last'], 8],
    [['list', 7], 3],
    [['list', 0, 'z'], 4],
    [['nowhere', 'at all'], 1],
  ])('%j stands in line %i', (path, line) => {
    expect(jsonLine(text, path)).toBe(line);
  });
});
