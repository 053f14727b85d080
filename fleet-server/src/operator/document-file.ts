import { readFile, stat } from 'node:fs/promises';
import { parse } from 'yaml';
import { UsageError } from './api-error.js';

/** Largest document that is read, bytes: the API takes no larger one. */
const MOST_BYTES = 262_144;

/** Reads a YAML or JSON file. Throws UsageError. */
export async function readDocument(file: string): Promise<unknown> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MOST_BYTES)
      throw new UsageError('FILE_TOO_LARGE', `${file}: ${size} bytes, at most ${MOST_BYTES}; name another file`);
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError('FILE_UNREADABLE', `${file}: cannot be read (${code}); name an existing file`);
  }
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    const line = (error as Error).message.split('\n')[0];
    throw new UsageError('FILE_INVALID', `${file}: neither YAML nor JSON: ${line}; correct that line`);
  }
}
