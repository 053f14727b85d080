import { readFile } from 'node:fs/promises';
import { Value } from '@sinclair/typebox/value';
import { BenchmarkResult } from '@vigie/protocol';
import { MissingPieceError } from './rig/repository.js';

/** Reads a file as text. Throws MissingPieceError. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new MissingPieceError(`${path}: cannot be read (${code}); name an existing file`);
  }
}

/** Reads a result document. Throws MissingPieceError for what is none. */
export async function readResult(path: string): Promise<BenchmarkResult> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(path));
  } catch (error) {
    if (error instanceof MissingPieceError) throw error;
    throw new MissingPieceError(`${path}: not JSON: ${(error as Error).message}; give a result of vigie-bench --json`);
  }
  const problem = Value.Errors(BenchmarkResult, value).First();
  if (problem !== undefined)
    throw new MissingPieceError(
      `${path}: ${problem.path || '/'}: ${problem.message}; give a result of vigie-bench --json`,
    );
  return value as BenchmarkResult;
}
