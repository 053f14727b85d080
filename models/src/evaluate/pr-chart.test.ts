import { describe, expect, it } from 'vitest';
import { precisionRecallSvg } from './pr-chart.js';
import { readXml, type XmlElement } from './xml-reader.js';

const texts = (element: XmlElement): string[] => [
  ...(element.name === 'text' ? [element.text] : []),
  ...element.children.flatMap(texts),
];
const points = [
  { recall: 0, precision: 1 },
  { recall: 0.5, precision: 0.5 },
];

describe('precisionRecallSvg', () => {
  it('is well-formed and has axes, legend and the curve in its place', () => {
    const svg = precisionRecallSvg('model 1.0.0', 'set', [{ label: 'person\nAP50 0.5', points, best: points[1] }]);
    const found = texts(readXml(svg));
    expect(found).toEqual(expect.arrayContaining(['model 1.0.0', 'person', 'AP50 0.5', '0.0', '1.0']));
    expect(found.join()).toMatch(/Recall.*Precision/);
    // Recall 0.5 and precision 0.5 are the middle of the plot: 74 + 230, 62 + 230.
    expect(svg).toContain('M74.0 62.0L304.0 292.0');
    expect(svg).toContain('cx="304.0" cy="292.0"');
  });

  it('lets no name become markup', () => {
    const label = '</text><script>alert(1)</script>&"\u0000\ud800';
    const svg = precisionRecallSvg(label, label, [{ label, points }]);
    expect(svg).not.toContain('<script');
    expect(readXml(svg).name).toBe('svg');
    expect(texts(readXml(svg))[0]).toContain('</text><script>');
  });

  it('says how many classes it leaves out', () => {
    const many = Array.from({ length: 80 }, (_, index) => ({ label: `class ${index}`, points }));
    expect(texts(readXml(precisionRecallSvg('m', 's', many)))).toContain('and 72 more classes, see report');
    expect(precisionRecallSvg('m', 's', [{ label: 'nothing', points: [] }])).not.toContain('NaN');
  });
});
