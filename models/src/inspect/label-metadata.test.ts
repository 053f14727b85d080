import { describe, expect, it } from 'vitest';
import { labelsFromMetadata } from './label-metadata.js';

describe('labelsFromMetadata', () => {
  it('reads what Ultralytics writes, and JSON', () => {
    expect(labelsFromMetadata("{0: 'person', 1: 'traffic light'}")).toEqual(['person', 'traffic light']);
    expect(labelsFromMetadata(`{0: "driver's cab", 1: 'a \\'b\\''}`)).toEqual(["driver's cab", "a 'b'"]);
    expect(labelsFromMetadata('{"0": "person", "1": "car"}')).toEqual(['person', 'car']);
    expect(labelsFromMetadata('["person", "car"]')).toEqual(['person', 'car']);
  });

  it('gives nothing for what is no list of labels', () => {
    for (const text of [
      undefined,
      '',
      '{}',
      '[]',
      '{0: 1}',
      "{1: 'a'}",
      "{0: 'a', 2: 'b'}",
      "{0: 'a'",
      '[1]',
      '[',
      'person',
    ])
      expect(labelsFromMetadata(text)).toBeNull();
  });

  it('is done soon with a text made to be slow', () => {
    expect(labelsFromMetadata(`{0: '${'\\'.repeat(200_000)}`)).toBeNull();
    expect(labelsFromMetadata(`{${' '.repeat(200_000)}`)).toBeNull();
  });
});
