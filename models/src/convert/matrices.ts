import { batchNormalization, convolution } from './convolution.js';
import { binary, withNumber } from './elementwise.js';
import { ordered, plain, reshape } from './layout.js';
import { axisOf, type Converter, type Operator } from './operator.js';
import { type Activation, plainOrder, sizeOf, transposed, type Value } from './value.js';

/** Matrix products and softmax. */

const gemm: Converter = (operator) => {
  const { builder, name } = operator;
  const a = operator.activation(0);
  const b = operator.input(1);
  if (b === undefined) throw operator.fail('input B is missing');
  const matrix = matrixNode(operator, b, operator.integer('transB', 0) === 1);
  const flags = { transpose_a: { b: operator.integer('transA', 0) === 1 }, transpose_b: { b: false } };
  const [rows, inner] = flags.transpose_a.b ? [a.dims[1], a.dims[0]] : a.dims;
  if (a.dims.length !== 2 || inner !== matrix.rows) throw operator.fail(`[${a.dims.join(', ')}] does not go with B`);
  const node = builder.node('MatMul', [plain(builder, a).node, matrix.node], flags, name);
  let product: Activation = { kind: 'activation', node, dims: [rows, matrix.columns], order: [0, 1] };
  if (operator.float('alpha', 1) !== 1) product = withNumber(operator, 'Mul', product, operator.float('alpha', 1));
  const c = operator.input(2);
  if (c === undefined) return [product];
  if (operator.float('beta', 1) !== 1) throw operator.fail('beta other than 1 is not supported');
  return [binary(operator, 'AddV2', product, c)];
};

/** B of a product as a node [rows, columns]. */
function matrixNode(operator: Operator, b: Value, flip: boolean): { node: string; rows: number; columns: number } {
  const { builder, name } = operator;
  if (b.dims.length !== 2) throw operator.fail(`B [${b.dims.join(', ')}] is no matrix`);
  const [rows, columns] = flip ? [b.dims[1], b.dims[0]] : b.dims;
  if (b.kind === 'activation') {
    const node = ordered(builder, b, flip ? [1, 0] : [0, 1]).node;
    return { node, rows, columns };
  }
  if (!(b.values instanceof Float32Array)) throw operator.fail('B is not float');
  const values = flip ? transposed(b.values, b.dims, [1, 0]) : b.values;
  return { node: builder.floats(values, [rows, columns], `${name}/weights`), rows, columns };
}

const matMul: Converter = (operator) => {
  const { builder, name } = operator;
  const a = operator.activation(0);
  const b = operator.input(1);
  if (b === undefined) throw operator.fail('input B is missing');
  const rank = a.dims.length;
  if (rank < 2 || b.dims.length < 2) throw operator.fail('products of vectors are not supported');
  if (b.dims.length === 2) {
    const matrix = matrixNode(operator, b, false);
    const rows = sizeOf(a.dims.slice(0, -1));
    if (a.dims[rank - 1] !== matrix.rows)
      throw operator.fail(`[${a.dims.join(', ')}] does not go with [${b.dims.join(', ')}]`);
    const flat = plain(builder, reshape(builder, a, [rows, matrix.rows]));
    const flags = { transpose_a: { b: false }, transpose_b: { b: false } };
    const node = builder.node('MatMul', [flat.node, matrix.node], flags, name);
    const product: Activation = { kind: 'activation', node, dims: [rows, matrix.columns], order: [0, 1] };
    return [reshape(builder, product, [...a.dims.slice(0, -1), matrix.columns])];
  }
  const other = operator.activation(1);
  const batch = a.dims.slice(0, -2);
  if (other.dims.length !== rank || batch.some((size, axis) => size !== other.dims[axis])) {
    throw operator.fail(`batches of [${a.dims.join(', ')}] and [${b.dims.join(', ')}] differ`);
  }
  if (a.dims[rank - 1] !== other.dims[rank - 2]) throw operator.fail('the inner sizes differ');
  const flags = { adj_x: { b: false }, adj_y: { b: false } };
  const node = builder.node('BatchMatMulV2', [plain(builder, a).node, plain(builder, other).node], flags, name);
  return [
    { kind: 'activation', node, dims: [...batch, a.dims[rank - 2], other.dims[rank - 1]], order: plainOrder(rank) },
  ];
};

/** Softmax along one axis, which must stand last; before opset 13, along all axes from it on. */
const softmax =
  (op: string): Converter =>
  (operator) => {
    const { builder, name } = operator;
    const x = operator.activation(0);
    const rank = x.dims.length;
    const old = operator.opset < 13;
    const axis = axisOf(operator, operator.integer('axis', old ? 1 : -1), rank);
    const attr = {};
    if (old && x.dims.slice(axis + 1).some((size) => size !== 1)) {
      const rows = reshape(builder, x, [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis))]);
      const flat = plain(builder, rows);
      return [reshape(builder, { ...flat, node: builder.node(op, [flat.node], attr, name) }, x.dims)];
    }
    const source =
      x.order[rank - 1] === axis ? x : ordered(builder, x, [...x.order.filter((other) => other !== axis), axis]);
    return [{ ...source, node: builder.node(op, [source.node], attr, name) }];
  };

export const matrices: Readonly<Record<string, Converter>> = {
  Conv: convolution,
  BatchNormalization: batchNormalization,
  Gemm: gemm,
  MatMul: matMul,
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
};
