import { describe, expect, it } from 'vitest';
import { searchFloatLayers } from './max-drop.js';

/** Scores by the layers in float; remembers what was asked. */
function scores(of: (back: readonly number[]) => number) {
  const asked: string[] = [];
  const scoreOf = async (back: readonly number[]) => {
    asked.push(back.join());
    return of(back);
  };
  return { asked, scoreOf };
}
const first = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('layers go back to float', () => {
  it('none when the loss is within the bound already, the bound itself included', async () => {
    const { asked, scoreOf } = scores(() => 0.69);
    const found = await searchFloatLayers(50, 0.7, 0.01, scoreOf);
    expect(found).toMatchObject({ back: [], reached: true, score: 0.69 });
    expect(asked).toEqual(['']);
  });

  it('exactly as many as are needed, with few questions', async () => {
    for (let needed = 1; needed <= 100; needed++) {
      const { asked, scoreOf } = scores(({ length }) => (length >= needed ? 0.7 : 0.5));
      const found = await searchFloatLayers(100, 0.7, 0.01, scoreOf);
      expect(found).toMatchObject({ back: first(needed), reached: true, score: 0.7 });
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(100)) + 14);
      expect(found.path.map((step) => step.floatLayers)).toEqual(
        asked.map((back) => back.split(',').filter(Boolean).length),
      );
    }
  });

  it('those that help only together, however little each step brings, and no others', async () => {
    const culprits = [0, 3, 6];
    const { scoreOf } = scores((back) => (culprits.every((place) => back.includes(place)) ? 0.7 : 0.4));
    expect(await searchFloatLayers(20, 0.7, 0.01, scoreOf)).toMatchObject({ back: culprits, reached: true });
  });

  it('keeps the bound where more float does not always help', async () => {
    const bumpy = [0.5, 0.6, 0.55, 0.695, 0.6, 0.695, 0.65, 0.698, 0.699, 0.7];
    const { scoreOf } = scores(({ length }) => bumpy[length]);
    const found = await searchFloatLayers(9, 0.7, 0.01, scoreOf);
    expect(found.reached).toBe(true);
    expect(0.7 - bumpy[found.back.length]).toBeLessThanOrEqual(0.01);
  });

  it('says so when nothing helps, and names the best that was seen', async () => {
    const { scoreOf } = scores(({ length }) => 0.1 + length / 100);
    expect(await searchFloatLayers(10, 0.7, 0.01, scoreOf)).toMatchObject({
      reached: false,
      back: first(10),
      score: 0.2,
    });
    expect(await searchFloatLayers(0, 0.7, 0.01, scoreOf)).toMatchObject({ reached: false, back: [] });
  });
});
