import { describe, expect, it } from 'vitest';
import { describeMissing, missingLabels } from './label-contract.js';
import { checkPromotion } from './promotion.js';
import { statesBefore } from './release-state.js';
import { checkPiece } from './upload.js';

describe('missingLabels', () => {
  const needed = new Map([
    ['person', ['a', 'b']],
    ['dog', ['b', 'c']],
  ]);

  it('names what the boards concerned would lose', () => {
    expect(missingLabels(['person', 'dog'], needed, null)).toEqual([]);
    expect(missingLabels(['person'], needed, null)).toEqual([{ label: 'dog', devices: ['b', 'c'] }]);
    expect(missingLabels(['person'], needed, new Set(['a']))).toEqual([]);
    expect(missingLabels([], needed, new Set(['b']))).toEqual([
      { label: 'dog', devices: ['b'] },
      { label: 'person', devices: ['b'] },
    ]);
    expect(missingLabels([], new Map([['dog', []]]), null)).toEqual([]);
  });

  it('is told in one bounded line', () => {
    const devices = Array.from({ length: 5000 }, (_, index) => `board-${index}`);
    const line = describeMissing('m@1.0.0', [{ label: 'dog', devices }]);
    expect(line).toContain('m@1.0.0 does not know "dog" (board-0, board-1,');
    expect(line).toContain('and 4995 more');
    expect(line).not.toContain('\n');
  });
});

describe('checkPromotion', () => {
  it('lets only a released release be champion, and nothing withdrawn be anything', () => {
    const verdict = (state: Parameters<typeof checkPromotion>[0]['state'], alias: 'champion' | 'candidate') => {
      const checked = checkPromotion({ name: 'm', version: '1.0.0', state }, alias);
      return checked.ok ? 'ok' : checked.code;
    };
    expect(verdict('released', 'champion')).toBe('ok');
    expect(verdict('approved', 'champion')).toBe('RELEASE_NOT_RELEASED');
    expect(verdict('candidate', 'candidate')).toBe('ok');
    expect(verdict('withdrawn', 'candidate')).toBe('RELEASE_WITHDRAWN');
    expect(verdict('withdrawn', 'champion')).toBe('RELEASE_WITHDRAWN');
  });
});

describe('statesBefore', () => {
  it('never takes a release back', () => {
    expect(statesBefore('benchmarked')).toEqual(['candidate']);
    expect(statesBefore('released')).toEqual(['candidate', 'benchmarked', 'approved']);
  });
});

describe('checkPiece', () => {
  it('takes bytes only where those before them end', () => {
    const code = (state: Parameters<typeof checkPiece>[0]['state'], received: number, offset: number) => {
      const verdict = checkPiece({ state, bytes: 100 }, received, offset);
      return verdict.ok ? verdict.room : verdict.code;
    };
    expect(code('receiving', 40, 40)).toBe(60);
    expect(code('receiving', 40, 0)).toBe('UPLOAD_OFFSET_WRONG');
    expect(code('receiving', 40, 41)).toBe('UPLOAD_OFFSET_WRONG');
    expect(code('verifying', 100, 100)).toBe('UPLOAD_CLOSED');
    expect(code('done', 100, 100)).toBe('UPLOAD_CLOSED');
  });
});
