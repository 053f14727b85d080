import { describe, expect, it } from 'vitest';
import { readXml, XmlError } from './xml-reader.js';

describe('readXml', () => {
  it('reads elements, text, entities, comments and CDATA, and knows the lines', () => {
    const root = readXml(
      '\ufeff<?xml version="1.0"?>\n<!-- a <b> -->\n<a x="1" y=\'2\'>\n <b>1 &lt; 2 &#38; &#x41;</b>\n <c/><d><![CDATA[<x>&]]></d ></a>\n',
    );
    expect(root).toMatchObject({ name: 'a', line: 3 });
    expect(root.children.map(({ name, text, line }) => [name, text, line])).toEqual([
      ['b', '1 < 2 & A', 4],
      ['c', '', 5],
      ['d', '<x>&', 5],
    ]);
  });

  it.each([
    ['', 1, 'nothing'],
    ['just text', 1, 'text alone'],
    ['<a>\n<b></a>', 2, 'a wrong end'],
    ['<a>\n', 2, 'no end'],
    ['</a>', 1, 'an end without a start'],
    ['<a/><b/>', 1, 'two top elements'],
    ['<a>\n&nbsp;</a>', 1, 'an unknown entity'],
    ['<a>&constructor;</a>', 1, 'an entity named as what every object has'],
    ['<a>& </a>', 1, 'a bare ampersand'],
    ['<a x=1></a>', 1, 'an attribute without quotes'],
    ['<a', 1, 'half a tag'],
    ['<a><', 1, 'a bare less-than'],
    ['<a><!-- </a>', 1, 'an endless comment'],
    ['<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<a>&x;</a>', 1, 'a document type'],
    ['<a>'.repeat(40) + '</a>'.repeat(40), 1, 'deep nesting'],
    [`<a>${'<b/>'.repeat(200_001)}</a>`, 1, 'very many elements'],
  ])('refuses %#: %s', (text, line) => {
    let thrown: unknown;
    try {
      readXml(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(XmlError);
    expect((thrown as XmlError).line).toBe(line);
  });

  it('reads a long line in linear time', () => {
    expect(readXml(`<a>${'<b>1</b>'.repeat(150_000)}</a>`).children).toHaveLength(150_000);
  });
});
