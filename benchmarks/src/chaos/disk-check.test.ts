import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPackageDirectory } from '@vigie/models/package/package';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INT8_PACKAGE } from '../rig/repository.js';
import { corruptionOf, digestOfFolder, readBoardDisk, readJournaledEvents } from './disk-check.js';

const bootId = '7a9a0c5e-7bd0-4a9e-9d0b-3f1d3a6b3a11';
const line = (sequence: number, id: string): string =>
  JSON.stringify({ kind: 'events', message: { bootId, sequence, id, type: 'start', at: '2026-11-21T12:00:00Z' } });

describe("the checker's own reading of a board's disk", () => {
  let data: string;
  let digest: string;

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'vigie-disk-'));
    ({ digest } = await openPackageDirectory(INT8_PACKAGE));
    cpSync(INT8_PACKAGE, join(data, 'slots', digest), { recursive: true });
  });
  afterAll(() => rmSync(data, { recursive: true, force: true }));

  it('names a package as the agent does, and sees one turned bit and one missing file', () => {
    expect(digestOfFolder(join(data, 'slots', digest))).toBe(digest);
    expect(corruptionOf(data, digest)).toBeNull();
    const labels = join(data, 'slots', digest, 'labels.txt');
    writeFileSync(labels, 'Person\n');
    expect(corruptionOf(data, digest)).toContain('its files make');
    rmSync(labels);
    expect(corruptionOf(data, digest)).not.toBeNull();
    expect(corruptionOf(data, 'f'.repeat(64))).toContain('ENOENT');
  });

  it('reads slots and phase; a board that never installed has none, a torn journal is an error', () => {
    expect(readBoardDisk(data)).toBeUndefined();
    const active = { name: 'm', version: '1.0.0', digest };
    const journal = { phase: 'TRIAL', generation: 7 };
    writeFileSync(join(data, 'state.json'), JSON.stringify({ active, previous: null, journal }));
    expect(readBoardDisk(data)).toEqual({ active: digest, previous: null, phase: 'TRIAL', generation: 7 });
    truncateSync(join(data, 'state.json'), 20);
    expect(() => readBoardDisk(data)).toThrow(SyntaxError);
  });

  it('takes an event as journaled once its line is whole, and nothing but events', () => {
    mkdirSync(join(data, 'outbox'));
    const report = JSON.stringify({ kind: 'reported', message: { bootId, sequence: 3 } });
    const ack = JSON.stringify({ ack: `${bootId}:1` });
    writeFileSync(
      join(data, 'outbox', '00000001.jsonl'),
      [line(1, 'a'), report, ack, line(4, 'b').slice(0, 40)].join('\n'),
    );
    writeFileSync(join(data, 'outbox', '00000002.jsonl'), `${line(5, 'c')}\n${line(6, 'd')}`);
    expect([...readJournaledEvents(data).keys()]).toEqual([`${bootId}:1`, `${bootId}:5`]);
  });
});
