import { describe, expect, it } from 'vitest';
import { searchFloatLayers } from './max-drop.js';

/** Scores by number of float layers; remembers what was asked. */
function scores(of: (n: number) => number) {
  const asked: number[] = [];
  const scoreOf = async (n: number) => {
    asked.push(n);
    return of(n);
  };
  return { asked, scoreOf };
}

describe('layers go back to float', () => {
  it('none when the loss is within the bound already, the bound itself included', async () => {
    const { asked, scoreOf } = scores(() => 0.69);
    const found = await searchFloatLayers(50, 0.7, 0.01, scoreOf);
    expect(found).toMatchObject({ floatLayers: 0, reached: true, score: 0.69 });
    expect(asked).toEqual([0]);
  });

  it('exactly as many as are needed, with few questions', async () => {
    for (let needed = 1; needed <= 100; needed++) {
      const { asked, scoreOf } = scores((n) => (n >= needed ? 0.7 : 0.5));
      const found = await searchFloatLayers(100, 0.7, 0.01, scoreOf);
      expect(found).toMatchObject({ floatLayers: needed, reached: true, score: 0.7 });
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(100)) + 2);
      expect(found.path.map((step) => step.floatLayers)).toEqual(asked);
    }
  });

  it('keeps the bound where more float does not always help', async () => {
    const bumpy = [0.5, 0.6, 0.55, 0.695, 0.6, 0.695, 0.65, 0.698, 0.699, 0.7];
    const { scoreOf } = scores((n) => bumpy[n]);
    const found = await searchFloatLayers(9, 0.7, 0.01, scoreOf);
    expect(found.reached).toBe(true);
    expect(0.7 - bumpy[found.floatLayers]).toBeLessThanOrEqual(0.01);
  });

  it('says so when nothing helps, and names the best that was seen', async () => {
    const { scoreOf } = scores((n) => 0.1 + n / 100);
    expect(await searchFloatLayers(10, 0.7, 0.01, scoreOf)).toMatchObject({
      reached: false,
      floatLayers: 10,
      score: 0.2,
    });
    expect(await searchFloatLayers(0, 0.7, 0.01, scoreOf)).toMatchObject({ reached: false, floatLayers: 0 });
  });
});
