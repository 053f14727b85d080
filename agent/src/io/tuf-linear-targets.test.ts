import { Metadata, MetadataKind, TargetFile, Targets } from '@tufjs/models';
import { describe, expect, it } from 'vitest';
import './tuf-linear-targets.js';

const head = { _type: 'targets', spec_version: '1.0.31', version: 3, expires: '2030-01-01T00:00:00Z' };
const file = (index: number) => ({ length: index, hashes: { sha256: 'a'.repeat(64) }, custom: { index } });

describe('targets in linear time', () => {
  it('are read and written as the library does it', () => {
    const targets = { 'releases/b/1.json': file(1), constructor: file(2), 'releases/a/1.json': file(3) };
    const signed = { ...head, targets, 'x-own': [1] };
    const read = Targets.fromJSON(signed);
    expect(Object.keys(read.targets)).toEqual(Object.keys(targets));
    expect(read.targets['releases/a/1.json']).toBeInstanceOf(TargetFile);
    expect(read.toJSON()).toEqual(signed);
    expect(Targets.fromJSON(head).toJSON()).toEqual({ ...head, targets: {} });
  });

  it.each([1, 'targets', null])('refuse %j', (targets) => {
    expect(() => Targets.fromJSON({ ...head, targets })).toThrow(TypeError);
  });

  it('take thousands: with a copy of all for each this would not end', () => {
    const targets = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`releases/m/${index}.json`, file(index)]),
    );
    const metadata = Metadata.fromJSON(MetadataKind.Targets, { signatures: [], signed: { ...head, targets } });
    expect(Object.keys((metadata.toJSON().signed as { targets: object }).targets)).toHaveLength(20_000);
  });
});
