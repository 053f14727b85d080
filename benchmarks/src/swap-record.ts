import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ReleaseReference } from '@vigie/protocol';
import type { SwapObservation } from './observe-swap.js';
import { MissingPieceError } from './rig/repository.js';
import type { SwapFigures } from './swap-figures.js';

/** What is kept of one swap; plain data, one line of JSON in a file that a run can go on from. */
export interface SwapRecord {
  /** Number of the run (of processes that lived together) and of the swap within it, from 1. */
  run: number;
  number: number;
  release: ReleaseReference & { precision: string };
  /** From just before the assignment was posted to the first viewer's frame of the new model, ms; null: none came. */
  durationMs: number | null;
  committedMs: number;
  figures: SwapFigures;
  tracks: SwapObservation['tracks'];
  idsContinue: boolean | null;
  disconnected: string[];
  /** Model before the swap, and the board's CPU use while it ran undisturbed, processors' worth. */
  steady: { precision: string; cpus: number };
  /** Resident sets of the board's processes added, before the assignment, bytes. */
  residentBytes: number;
  /** Periods of the quota in the swap window in which the board was stopped; null without a quota. */
  throttledPeriods: number | null;
}

/** Reads the records of earlier runs; none when there is no file yet. Throws MissingPieceError on a file that holds something else. */
export function readRecords(path: string): SwapRecord[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  const last = lines.pop() ?? '';
  const records = lines.map((line, index) => parse(path, line, index));
  // A run that was cut off may have left half a line, which the next record must not be written behind.
  if (last !== '') writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return records;
}

function parse(path: string, line: string, index: number): SwapRecord {
  try {
    const record = JSON.parse(line) as Partial<SwapRecord>;
    if (typeof record.run === 'number' && typeof record.number === 'number' && record.figures !== undefined) {
      return record as SwapRecord;
    }
  } catch {
    // Said below.
  }
  throw new MissingPieceError(`${path}: line ${index + 1} is no record of a swap; give another file to --resume`);
}

export function appendRecord(path: string, record: SwapRecord): void {
  appendFileSync(path, `${JSON.stringify(record)}\n`);
}
