/**
 * IEEE 754 binary16, as bits. Node 20 and 22 have no Float16Array.
 */

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** Bits of a half-precision number → its value. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A value → bits of the nearest half-precision number, ties to even; beyond its range ±Infinity. */
export function floatToHalf(value: number): number {
  floats[0] = value;
  const single = bits[0];
  const sign = (single >>> 16) & 0x8000;
  const magnitude = single & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 and above round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: in units of 2^-24, rounded by the addition (2^-1 has a last place of 2^-24).
    floats[0] = Math.abs(value) + 0.5;
    return sign | (bits[0] - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | ((rounded - 0x38000000) >> 13);
}
