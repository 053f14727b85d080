import { describe, expect, it } from 'vitest';
import { OnnxGraph } from '../../test/convert-fixture.js';
import { decodeModel } from './onnx-proto.js';
import { evaluateStatically } from './static-evaluation.js';

const shapesOf = (build: (g: OnnxGraph) => string): number[] | undefined => {
  const g = new OnnxGraph(8, 10);
  const output = build(g);
  return evaluateStatically(decodeModel(g.bytes([output])).graph).shapes.get(output);
};

describe('evaluateStatically', () => {
  it("follows the padding that PyTorch calculates: last axis first, turned into ONNX's order", () => {
    const shape = shapesOf((g) => {
      // F.pad(image, (1, 2, 3, 4)): left, right, top, bottom; filled up with zeros for channels and batch.
      const pairs = g.one('Reshape', [g.integers([1, 2, 3, 4, 0, 0, 0, 0]), g.integers([-1, 2])]);
      const ends = [g.integers([-1]), g.integers([-(2 ** 31)]), g.integers([0]), g.integers([-1])];
      const turned = g.one('Transpose', [g.one('Slice', [pairs, ...ends])], { perm: [1, 0] });
      return g.one('Pad', ['image', g.one('Reshape', [turned, g.integers([-1])])]);
    });
    expect(shape).toEqual([1, 3, 8 + 3 + 4, 10 + 1 + 2]);
  });

  it('knows what TopK, GatherElements and Tile give', () => {
    expect(shapesOf((g) => g.node('TopK', ['image', g.integers([4])], { axis: 2 }, 2)[0])).toEqual([1, 3, 4, 10]);
    expect(shapesOf((g) => g.one('GatherElements', ['image', g.integers([0, 0], [1, 1, 2, 1])]))).toEqual([1, 1, 2, 1]);
    expect(shapesOf((g) => g.one('Tile', ['image', g.integers([1, 2, 1, 3])]))).toEqual([1, 6, 8, 30]);
    expect(shapesOf((g) => g.one('ConstantOfShape', [g.integers([1, 5, 4000])]))).toEqual([1, 5, 4000]);
  });
});
