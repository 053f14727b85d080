/**
 * Planar 8-bit resizer. Along an axis that shrinks each output sample is the mean of the source it covers (area, partial
 * samples weighted), along one that grows it is interpolated linearly between sample centres, edges repeated.
 */
export interface PlaneResizer {
  /**
   * Resizes one plane. `source` holds sourceWidth × sourceHeight bytes from `sourceOffset`; the result goes into
   * `target` from `targetOffset`, rows `targetStride` bytes apart. Allocates nothing.
   */
  run(source: Uint8Array, sourceOffset: number, target: Uint8Array, targetOffset: number, targetStride: number): void;
}

/** For each output sample: the first source sample, how many, and their weights (sum 1). */
interface AxisWeights {
  start: Int32Array;
  count: Int32Array;
  weights: Float32Array;
  /** Weights reserved per output sample. */
  stride: number;
}

/** Makes a resizer for one pair of sizes; weights and the intermediate rows are made once. Sizes in pixels. */
export function makePlaneResizer(
  sourceWidth: number,
  sourceHeight: number,
  targetWidth: number,
  targetHeight: number,
): PlaneResizer {
  const across = axisWeights(sourceWidth, targetWidth);
  const down = axisWeights(sourceHeight, targetHeight);
  const rows = new Float32Array(targetWidth * sourceHeight);
  const sum = new Float32Array(targetWidth);
  return {
    run(source, sourceOffset, target, targetOffset, targetStride) {
      const { start, count: counts, weights, stride } = across;
      for (let y = 0; y < sourceHeight; y++) {
        const from = sourceOffset + y * sourceWidth;
        const to = y * targetWidth;
        for (let x = 0; x < targetWidth; x++) {
          const first = from + start[x];
          const weight = x * stride;
          const count = counts[x];
          let value = source[first] * weights[weight];
          for (let k = 1; k < count; k++) value += source[first + k] * weights[weight + k];
          rows[to + x] = value;
        }
      }
      for (let y = 0; y < targetHeight; y++) {
        sum.fill(0.5); // Rounds to nearest when the byte store truncates.
        const count = down.count[y];
        for (let k = 0; k < count; k++) {
          const weight = down.weights[y * down.stride + k];
          const from = (down.start[y] + k) * targetWidth;
          for (let x = 0; x < targetWidth; x++) sum[x] += rows[from + x] * weight;
        }
        const to = targetOffset + y * targetStride;
        // Weights are not negative and sum to 1, so a sum stays below 255.5 (+ rounding far under 0.5): no clamp needed.
        for (let x = 0; x < targetWidth; x++) target[to + x] = sum[x];
      }
    },
  };
}

function axisWeights(source: number, target: number): AxisWeights {
  const scale = source / target;
  const stride = scale > 1 ? Math.ceil(scale) + 1 : 2;
  const start = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Float32Array(target * stride);
  for (let i = 0; i < target; i++) {
    if (scale > 1) {
      const from = i * scale;
      const to = Math.min(source, (i + 1) * scale);
      start[i] = Math.floor(from);
      count[i] = Math.min(stride, Math.ceil(to) - start[i]);
      for (let k = 0; k < count[i]; k++) {
        const sample = start[i] + k;
        weights[i * stride + k] = (Math.min(to, sample + 1) - Math.max(from, sample)) / (to - from);
      }
    } else {
      const centre = Math.min(source - 1, Math.max(0, (i + 0.5) * scale - 0.5));
      start[i] = Math.min(Math.floor(centre), Math.max(0, source - 2));
      count[i] = Math.min(2, source);
      weights[i * stride] = 1 - (centre - start[i]);
      if (count[i] === 2) weights[i * stride + 1] = centre - start[i];
    }
  }
  return { start, count, weights, stride };
}
