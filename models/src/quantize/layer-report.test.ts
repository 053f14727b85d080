import { describe, expect, it } from 'vitest';
import {
  addNoise,
  blockText,
  combinedDecibels,
  decibels,
  type FullReport,
  reportMarkdown,
  worstFirst,
} from './layer-report.js';

describe('signal to noise', () => {
  it('is 10 log10 of the ratio of energies, summed over pictures', () => {
    const sums = { signal: 0, noise: 0 };
    addNoise(sums, [3, 4], [3, 3.5]);
    expect(sums).toEqual({ signal: 25, noise: 0.25 });
    expect(decibels(sums)).toBeCloseTo(20, 12);
    addNoise(sums, [0, 5], [0.5, 5]);
    expect(decibels(sums)).toBeCloseTo(20, 12);
  });

  it('stays a number without noise and without signal', () => {
    expect(decibels({ signal: 0, noise: 0 })).toBe(200);
    expect(decibels({ signal: 1, noise: 0 })).toBe(200);
    expect(decibels({ signal: 0, noise: 1 })).toBe(-200);
  });

  it('loses 3 dB where two equal errors meet, and nothing to a much smaller one', () => {
    expect(combinedDecibels(30, 30)).toBeCloseTo(30 - 10 * Math.log10(2), 12);
    expect(combinedDecibels(30, 200)).toBeCloseTo(30, 6);
  });
});

describe('a report', () => {
  const tensor = { min: -1, max: 1, scale: 2 / 255, zeroPoint: 128, clipped: 0.00125, sqnr: undefined };
  const layer = { output: 'o', weightSqnr: 40, sqnr: 12.34 };
  const report: FullReport = {
    file: 'm.onnx',
    sha256: 'a'.repeat(64),
    inputLayout: 'NCHW',
    target: 'portable',
    calibration: 'mse',
    pictures: 5,
    inputType: 'uint8',
    convolutions: 2,
    floatConvolutions: ['head'],
    quantizedTensors: 2,
    bytesBefore: 4000,
    bytesAfter: 1100,
    notes: ['opset 11 upgraded to 13'],
    maxDrop: {
      metric: 'AP50 on 3 pictures of D',
      maxDrop: 0.01,
      floatScore: 0.5,
      score: 0.495,
      loss: 0.005,
      backToFloat: ['bad'],
      path: [
        { floatLayers: 0, score: 0.4, loss: 0.1 },
        { floatLayers: 1, score: 0.495, loss: 0.005 },
      ],
    },
    quality: {
      pictures: 5,
      measuredOn: 'calibration pictures',
      outputs: [{ name: 'out', sqnr: 31 }],
      layers: worstFirst([
        { ...layer, name: 'good', ownSqnr: 38 },
        { ...layer, name: 'worst|`', ownSqnr: 9.5 },
      ]),
      tensors: [{ ...tensor, name: 't', ownSqnr: 33 }],
    },
  };

  it('puts the worst layer first, names what went back, and lets no name become markup', () => {
    const text = reportMarkdown(report);
    expect(text.indexOf('`worst__` | 40.0 | 9.5 | 12.3 |')).toBeGreaterThan(0);
    expect(text.indexOf('`worst__`')).toBeLessThan(text.indexOf('`good`'));
    expect(text).toContain('Back: `bad`');
    expect(text).toContain('| 1 | 0.4950 | 0.0050 |');
    expect(text).toContain('| `t` | -1.000 .. 1.000 | 0.007843 | 0.125 % | 33.0 |  |');
  });
});

describe('a harmful block', () => {
  const block = { layers: ['a', 'b'], before: 6, after: 13.25, share: 0.1567, taken: false };

  it('says what it brings and costs, and the option that takes it', () => {
    expect(blockText(block)).toBe(
      '`a`, `b` in float would bring the outputs from 6.0 to 13.3 dB, at 15.7 % of the multiplications; to do so: --float-share 0.16',
    );
    expect(blockText({ ...block, share: 0.02, taken: true })).toMatch(/^`a`, `b` left in float: .* at 2\.0 %/);
    expect(blockText({ ...block, share: undefined })).toMatch(/unknown share .* by --exclude$/);
  });
});
