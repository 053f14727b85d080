/** An element of an XML file. Attributes are checked for form and dropped: annotations hold none. */
export interface XmlElement {
  name: string;
  /** Character data directly in it, trimmed. */
  text: string;
  children: XmlElement[];
  /** Line of its start tag, from 1. */
  line: number;
}

/** What is wrong with an XML text, and in which line. */
export class XmlError extends Error {
  override readonly name = 'XmlError';
  readonly line: number;

  constructor(line: number, problem: string) {
    super(problem);
    this.line = line;
  }
}

const MAX_DEPTH = 32;
const MAX_ELEMENTS = 200_000;
const NAME = /[A-Za-z_:][\w:.-]*/y;
const ATTRIBUTE = /\s+[A-Za-z_:][\w:.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*')/y;
const TAG_END = /\s*(\/?)>/y;
const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/**
 * Reads the XML that annotation tools write: elements, text, comments, CDATA, the five named entities and character
 * references. Document types are refused and nothing outside the text is ever read, so neither external files nor
 * exploding entities can come in; time is linear in the length. Throws XmlError.
 */
export function readXml(text: string): XmlElement {
  let at = 0;
  let line = 1;
  let elements = 0;
  const open: { element: XmlElement; parts: string[] }[] = [];
  let root: XmlElement | undefined;

  const moveTo = (end: number): void => {
    for (; at < end; at++) if (text.charCodeAt(at) === 10) line++;
  };
  const skipPast = (mark: string, what: string): number => {
    const end = text.indexOf(mark, at);
    if (end < 0) throw new XmlError(line, `${what} does not end`);
    return end;
  };
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) moveTo(pattern.lastIndex);
    return match;
  };
  const close = (): void => {
    const { element, parts } = open.pop()!;
    element.text = parts.join('').trim();
  };
  const addText = (content: string): void => {
    const inner = open[open.length - 1];
    if (inner !== undefined) inner.parts.push(content);
    else if (content.trim() !== '') throw new XmlError(line, 'text outside of the top element');
  };
  const startTag = (): void => {
    const started = line;
    at++;
    const name = take(NAME)?.[0];
    if (name === undefined) throw new XmlError(line, 'a "<" without the name of an element');
    while (take(ATTRIBUTE) !== null);
    const end = take(TAG_END);
    if (end === null) throw new XmlError(line, `the start tag <${name}> is malformed`);
    if (open.length === 0 && root !== undefined) throw new XmlError(line, 'a second top element');
    if (open.length >= MAX_DEPTH) throw new XmlError(line, `elements nest deeper than ${MAX_DEPTH}`);
    if (++elements > MAX_ELEMENTS) throw new XmlError(line, `more than ${MAX_ELEMENTS} elements`);
    const element: XmlElement = { name, text: '', children: [], line: started };
    if (open.length === 0) root = element;
    else open[open.length - 1].element.children.push(element);
    open.push({ element, parts: [] });
    if (end[1] === '/') close();
  };
  const endTag = (): void => {
    at += 2;
    const name = take(NAME)?.[0] ?? '';
    const end = take(TAG_END);
    const expected = open[open.length - 1]?.element;
    if (expected === undefined) throw new XmlError(line, `</${name}> closes nothing`);
    if (end === null || end[1] === '/' || name !== expected.name) {
      throw new XmlError(line, `</${name}> where </${expected.name}> of line ${expected.line} is due`);
    }
    close();
  };

  if (text.charCodeAt(0) === 0xfeff) at = 1;
  while (at < text.length) {
    if (text[at] !== '<') {
      const next = text.indexOf('<', at);
      const end = next < 0 ? text.length : next;
      addText(decodeEntities(text.slice(at, end), line));
      moveTo(end);
    } else if (text.startsWith('<!--', at)) moveTo(skipPast('-->', 'a comment') + 3);
    else if (text.startsWith('<![CDATA[', at)) {
      const end = skipPast(']]>', 'a CDATA section');
      addText(text.slice(at + 9, end));
      moveTo(end + 3);
    } else if (text.startsWith('<?', at)) moveTo(skipPast('?>', 'a processing instruction') + 2);
    else if (text.startsWith('<!', at)) {
      throw new XmlError(line, 'document types and entity declarations are refused; remove the <!…> declaration');
    } else if (text.startsWith('</', at)) endTag();
    else startTag();
  }
  if (open.length > 0) {
    const { element } = open[open.length - 1];
    throw new XmlError(line, `<${element.name}> of line ${element.line} is not closed`);
  }
  if (root === undefined) throw new XmlError(line, 'there is no element');
  return root;
}

function decodeEntities(text: string, line: number): string {
  if (!text.includes('&')) return text;
  return text.replace(/&([^;&\s]{0,10})(;?)/g, (whole, name: string, end: string) => {
    const code = /^#(?:(\d{1,7})|x([\da-fA-F]{1,6}))$/.exec(name);
    const point = code === null ? undefined : code[1] !== undefined ? Number(code[1]) : Number.parseInt(code[2], 16);
    const char =
      point === undefined
        ? ENTITIES.get(name)
        : point > 0 && point <= 0x10ffff
          ? String.fromCodePoint(point)
          : undefined;
    if (end !== ';' || char === undefined) throw new XmlError(line, `"${whole}" is no entity that is known`);
    return char;
  });
}
