import { Lexer } from 'yaml';

/** Deepest nesting: a manifest itself goes down to `golden[].detections[].box[]`, seven levels. */
const MAX_DEPTH = 16;
/** A full manifest of 256 KiB has about 75,000. */
const MAX_TOKENS = 100_000;
const MAX_INDENTATION = 64;

/** The lexer's marks of a document, of its end, and of a scalar's text. */
const DOCUMENT = '\u0002';
const SCALAR = '\u001f';

/**
 * Says why a text is more YAML than a manifest needs, or null. It looks at tokens only, in linear time, before the parser
 * sees the text: deep nesting (`{a: {a: …`) overflows the parser's stack, which with Node 20 can end the whole process, and
 * long runs of anchors or tags take it minutes.
 */
export function excessOfYaml(text: string): string | null {
  let depth = 0;
  let tokens = 0;
  let compact = 0;
  let afterScalarMark = false;
  for (const token of new Lexer().lex(text)) {
    if (++tokens > MAX_TOKENS) return `more than ${MAX_TOKENS} tokens; shorten it`;
    if (afterScalarMark) {
      afterScalarMark = false;
      continue;
    }
    const first = token[0];
    if (token === SCALAR) afterScalarMark = true;
    else if (token === DOCUMENT) depth = 0;
    else if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    else if (token === '-' || token === '?' || token === ':') compact += depth === 0 ? 1 : 0;
    else if (first === '\n' || first === '\r') compact = 0;
    else if (first === ' ' && token.length > MAX_INDENTATION)
      return `more than ${MAX_INDENTATION} blanks in a row; indent less`;
    else if (first === '*' || first === '&') return 'YAML aliases (&name, *name) are not allowed; write the value out';
    else if (first === '!') return 'YAML tags (!name) are not allowed; write the plain value';
    else if (first === '%') return 'YAML directives (%NAME) are not allowed; remove the line';
    if (depth > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH} levels; a manifest needs seven`;
    // Several indicators in one block line (`- - - x`) nest too; inside braces and brackets they separate.
    if (compact > MAX_DEPTH) return `more than ${MAX_DEPTH} list or key marks in one line; split the line`;
  }
  return null;
}
