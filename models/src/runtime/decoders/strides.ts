import { Type } from '@sinclair/typebox';

/** Pixels per cell of each feature map, in the order of the outputs' rows. */
export const Strides = Type.Array(Type.Integer({ minimum: 1, maximum: 256 }), { minItems: 1, maxItems: 8 });

/** Cells of all feature maps: the sum over strides s of ceil(width / s) × ceil(height / s). */
export function gridLocations(width: number, height: number, strides: readonly number[]): number {
  return strides.reduce((sum, stride) => sum + Math.ceil(width / stride) * Math.ceil(height / stride), 0);
}

/** What a manifest's decoder and input, each valid by itself, do not agree on. */
export interface DecoderProblem {
  /** Below `decoder.`, e.g. `strides[2]`. */
  field: string;
  problem: string;
}

/** Repeated strides, and those that do not divide the input. */
export function strideProblem(
  strides: readonly number[],
  frame: { width: number; height: number },
): DecoderProblem | undefined {
  for (const [index, stride] of strides.entries()) {
    if (frame.width % stride === 0 && frame.height % stride === 0) continue;
    return {
      field: `strides[${index}]`,
      problem: `${stride} does not divide the input of ${frame.width}x${frame.height}; give the strides the model was built with`,
    };
  }
  return repeatedStride(strides);
}

/** Repeated strides alone, for heads whose last row and column of cells may stand out over the picture. */
export function repeatedStride(strides: readonly number[]): DecoderProblem | undefined {
  return new Set(strides).size === strides.length
    ? undefined
    : { field: 'strides', problem: 'a stride is repeated; give each feature map once' };
}
