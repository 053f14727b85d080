import { lineAt } from './dataset-files.js';

/**
 * Line, from 1, of a value in a JSON text that `JSON.parse` has accepted; `path` holds the keys and indices that lead to
 * it. When the path ends early, the line of the last value that is there. Lets a message about a value of a file of
 * 400 MB point at it without a parser that notes every place.
 */
export function jsonLine(text: string, path: readonly (string | number)[]): number {
  let at = skipSpace(text, 0);
  for (const step of path) {
    const inner = typeof step === 'number' ? elementAt(text, at, step) : memberAt(text, at, step);
    if (inner === undefined) break;
    at = inner;
  }
  return lineAt(text, at);
}

function elementAt(text: string, start: number, index: number): number | undefined {
  if (text[start] !== '[') return undefined;
  let at = skipSpace(text, start + 1);
  for (let element = 0; text[at] !== ']'; element++) {
    if (element === index) return at;
    at = skipSpace(text, skipValue(text, at));
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return undefined;
}

/** The last member of that name, as `JSON.parse` takes it. */
function memberAt(text: string, start: number, key: string): number | undefined {
  if (text[start] !== '{') return undefined;
  let found: number | undefined;
  let at = skipSpace(text, start + 1);
  while (text[at] !== '}') {
    const end = skipValue(text, at);
    const name: unknown = JSON.parse(text.slice(at, end));
    at = skipSpace(text, skipSpace(text, end) + 1);
    if (name === key) found = at;
    at = skipSpace(text, skipValue(text, at));
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return found;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && ' \n\r\t'.includes(text[at])) at++;
  return at;
}

/** Place after the value that begins at `start`. */
function skipValue(text: string, start: number): number {
  let at = start;
  let depth = 0;
  while (at < text.length) {
    const char = text[at];
    if (char === '"') {
      at++;
      while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    } else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') {
      if (depth === 0) return at;
      depth--;
    } else if (depth === 0 && (char === ',' || char === ':' || ' \n\r\t'.includes(char))) return at;
    at++;
    if (depth === 0 && (char === '"' || char === '}' || char === ']')) return at;
  }
  return at;
}
