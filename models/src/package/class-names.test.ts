import { describe, expect, it } from 'vitest';
import { distinctNames } from './class-names.js';
import { parseLabels } from './labels.js';

describe('distinctNames', () => {
  it('cuts synonyms that do not fit and numbers namesakes', () => {
    const shark = 'great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias';
    expect(distinctNames(['crane', shark, 'crane', 'crane (2)', 'crane', 'owl, bird'])).toEqual([
      'crane',
      'great white shark, white shark, man-eater',
      'crane (2)',
      'crane (2) (2)',
      'crane (3)',
      'owl, bird',
    ]);
    expect(distinctNames(['x'.repeat(70), ''])).toEqual(['x'.repeat(70), '']);
  });

  it('is for classifiers; the labels of a detector are taken as they stand', () => {
    const bytes = Buffer.from('crane\nowl\ncrane\n');
    expect(parseLabels(bytes, 'labels.txt', 'classify')).toEqual(['crane', 'owl', 'crane (2)']);
    expect(() => parseLabels(bytes, 'labels.txt', 'detect')).toThrow(/labels must differ/);
    const same = Buffer.from('a\n'.repeat(4096));
    expect(new Set(parseLabels(same, 'labels.txt', 'classify')).size).toBe(4096);
  });
});
