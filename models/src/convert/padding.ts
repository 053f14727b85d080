import type { Operator } from './operator.js';

/** How a window moves over height and width, as ONNX's Conv and pooling operators say it. */
export interface Window {
  kernel: [height: number, width: number];
  strides: [height: number, width: number];
  dilations: [height: number, width: number];
  /** Zeros (or nothing) around the picture. */
  pads: { top: number; left: number; bottom: number; right: number };
  /** Height and width of the result. */
  out: [height: number, width: number];
  /** Rows and columns beyond `pads` that ceil_mode adds at the bottom and the right. */
  overhang: [height: number, width: number];
}

/** Reads the window of an operator on `[N, C, height, width]`. Source: ONNX operators Conv, MaxPool, AveragePool. */
export function windowOf(operator: Operator, dims: readonly number[], kernel: readonly number[]): Window {
  if (dims.length !== 4 || kernel.length !== 2) {
    throw operator.fail(
      `input [${dims.join(', ')}], kernel [${kernel.join(', ')}]: only two-dimensional windows are supported`,
    );
  }
  const pair = (attribute: string): [number, number] => {
    const [a, b] = operator.integers(attribute) ?? [1, 1];
    return [a, b];
  };
  const strides = pair('strides');
  const dilations = pair('dilations');
  const given = operator.integers('pads') ?? [0, 0, 0, 0];
  const automatic = operator.text('auto_pad', 'NOTSET');
  const ceil = operator.integer('ceil_mode', 0) === 1;
  const sides = [0, 1].map((axis) => {
    const size = dims[2 + axis];
    const reach = (kernel[axis] - 1) * dilations[axis] + 1;
    let [before, after] = automatic === 'NOTSET' ? [given[axis], given[axis + 2]] : [0, 0];
    if (automatic.startsWith('SAME')) {
      const total = Math.max(0, (Math.ceil(size / strides[axis]) - 1) * strides[axis] + reach - size);
      before = automatic === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2);
      after = total - before;
    }
    if (before < 0 || after < 0) throw operator.fail('negative pads are not supported');
    const steps = (size + before + after - reach) / strides[axis];
    let out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // No window starts in the padding after the picture.
    if (ceil && (out - 1) * strides[axis] >= size + before) out -= 1;
    if (!(out >= 1)) throw operator.fail(`a window of ${reach} does not fit into ${size}`);
    const overhang = Math.max(0, (out - 1) * strides[axis] + reach - (size + before + after));
    return { before, after, out, overhang };
  });
  const [rows, columns] = sides;
  return {
    kernel: [kernel[0], kernel[1]],
    strides,
    dilations,
    pads: { top: rows.before, left: columns.before, bottom: rows.after, right: columns.after },
    out: [rows.out, columns.out],
    overhang: [rows.overhang, columns.overhang],
  };
}

/**
 * Whether TensorFlow's SAME padding of this input is what the window says. It puts the odd pixel after the picture, and with
 * stride 2 on even sizes pads by 0 and 1 where PyTorch pads by 1 and 1.
 */
export function isSame(window: Window, dims: readonly number[]): boolean {
  const { pads, strides, dilations, kernel, out } = window;
  return [0, 1].every((axis) => {
    const size = dims[2 + axis];
    const [before, after] = axis === 0 ? [pads.top, pads.bottom] : [pads.left, pads.right];
    const count = Math.ceil(size / strides[axis]);
    const total = Math.max(0, (count - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size);
    const first = Math.floor(total / 2);
    return out[axis] === count && before === first && after + window.overhang[axis] === total - first;
  });
}

export function isUnpadded({ pads, overhang }: Window): boolean {
  return [...Object.values(pads), ...overhang].every((size) => size === 0);
}
