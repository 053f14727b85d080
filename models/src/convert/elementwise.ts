import type { Attribute } from './graph-builder.js';
import { ordered, widened } from './layout.js';
import type { Converter, Operator } from './operator.js';
import { type Activation, type Constant, plainOrder, transposed, type Value } from './value.js';

/** Operators that work value by value: the axes may stand in any order. */

/** A node of one input that keeps shape and order. */
export function unary(operator: Operator, x: Activation, op: string, attr: Record<string, Attribute> = {}): Activation {
  return { ...x, node: operator.builder.node(op, [x.node], attr, operator.name) };
}

/** `x` combined with one number. */
export function withNumber(operator: Operator, op: string, x: Activation, value: number): Activation {
  const number = operator.builder.floats(Float32Array.of(value), [], `${operator.name}/number`);
  return { ...x, node: operator.builder.node(op, [x.node, number], {}, operator.name) };
}

/** Two tensors, broadcast as ONNX (and numpy) do. */
export function binary(operator: Operator, op: string, a: Value, b: Value): Activation {
  const { builder } = operator;
  const rank = Math.max(a.dims.length, b.dims.length);
  const reference = leader(a, b);
  // A constant may have more axes than what is calculated.
  const order = reference
    ? [
        ...plainOrder(rank - reference.dims.length),
        ...reference.order.map((axis) => axis + rank - reference.dims.length),
      ]
    : plainOrder(rank);
  const place = (value: Value): string => {
    if (value.kind === 'constant') return placedConstant(operator, value, order);
    return ordered(builder, widened(builder, value, rank), order).node;
  };
  const dims = Array.from({ length: rank }, (_, axis) => {
    const sizes = [a, b].map((value) => value.dims[axis - (rank - value.dims.length)] ?? 1);
    if (sizes[0] !== sizes[1] && !sizes.includes(1)) {
      throw operator.fail(`[${a.dims.join(', ')}] and [${b.dims.join(', ')}] do not broadcast`);
    }
    return sizes[0] === 1 ? sizes[1] : sizes[0];
  });
  return { kind: 'activation', node: builder.node(op, [place(a), place(b)], {}, operator.name), dims, order };
}

/** Whose order both take: the calculated one, the larger of two. */
function leader(a: Value, b: Value): Activation | undefined {
  if (a.kind === 'constant') return b.kind === 'constant' ? undefined : b;
  if (b.kind === 'constant') return a;
  const big = (value: Activation): number => value.dims.filter((size) => size !== 1).length;
  return big(b) > big(a) ? b : a;
}

/** The constant with its axes in `order`, ones at the front left out: TensorFlow broadcasts them again. */
function placedConstant(operator: Operator, { dims, values }: Constant, order: readonly number[]): string {
  if (!(values instanceof Float32Array)) throw operator.fail('arithmetic on integers is supported for shapes only');
  const wide = [...new Array<number>(order.length - dims.length).fill(1), ...dims];
  const placed = order.map((axis) => wide[axis]);
  while (placed[0] === 1) placed.shift();
  return operator.builder.floats(transposed(values, wide, order), placed, `${operator.name}/constant`);
}

const one =
  (op: string): Converter =>
  (operator) => [unary(operator, operator.activation(0), op)];

const two =
  (op: string): Converter =>
  (operator) => {
    const [a, b] = [operator.input(0), operator.input(1)];
    if (a === undefined || b === undefined) throw operator.fail('an input is missing');
    return [binary(operator, op, a, b)];
  };

/** Max, Min, Sum and Mean take any number of inputs. */
const many =
  (op: string, divide = false): Converter =>
  (operator) => {
    let result: Value = operator.activation(0);
    for (let index = 1; index < operator.count; index++) result = binary(operator, op, result, operator.input(index)!);
    return [divide ? withNumber(operator, 'Mul', result as Activation, 1 / operator.count) : result];
  };

/** Lower and upper bound of a Clip; attributes before opset 11. */
export function clipBounds(operator: Operator): [low: number, high: number] {
  if (operator.opset < 11) return [operator.float('min', -3.4028235e38), operator.float('max', 3.4028235e38)];
  const low = operator.constant(1)?.values[0] ?? -3.4028235e38;
  return [low, operator.constant(2)?.values[0] ?? 3.4028235e38];
}

function clip(operator: Operator, x: Activation, low: number, high: number): Activation {
  if (low === 0 && high === 6) return unary(operator, x, 'Relu6');
  if (low === 0 && high >= 3.4e38) return unary(operator, x, 'Relu');
  return withNumber(operator, 'Minimum', withNumber(operator, 'Maximum', x, low), high);
}

const hardSwish: Converter = (operator) => {
  const x = operator.activation(0);
  const gate = withNumber(operator, 'Mul', unary(operator, withNumber(operator, 'AddV2', x, 3), 'Relu6'), 1 / 6);
  return [binary(operator, 'Mul', x, gate)];
};

const hardSigmoid: Converter = (operator) => {
  const scaled = withNumber(operator, 'Mul', operator.activation(0), operator.float('alpha', 0.2));
  return [clip(operator, withNumber(operator, 'AddV2', scaled, operator.float('beta', 0.5)), 0, 1)];
};

const mish: Converter = (operator) => {
  const x = operator.activation(0);
  return [binary(operator, 'Mul', x, unary(operator, unary(operator, x, 'Softplus'), 'Tanh'))];
};

const elu: Converter = (operator) => {
  const alpha = operator.float('alpha', 1);
  if (alpha !== 1) throw operator.fail(`alpha ${alpha} is not supported; 1 is`);
  return [unary(operator, operator.activation(0), 'Elu')];
};

/** x where it is positive, slope · x elsewhere, as two ReLUs: TensorFlow.js' own PReLU takes one slope per channel only. */
const parametricRelu: Converter = (operator) => {
  const x = operator.activation(0);
  const slope = operator.constant(1);
  if (slope === undefined) throw operator.fail('the slope is missing');
  const negative = unary(operator, unary(operator, unary(operator, x, 'Neg'), 'Relu'), 'Neg');
  return [binary(operator, 'AddV2', unary(operator, x, 'Relu'), binary(operator, 'Mul', negative, slope))];
};

const power: Converter = (operator) => {
  const exponent = operator.input(1);
  const x = operator.activation(0);
  const constant = exponent?.kind === 'constant' && exponent.values.length === 1 ? exponent.values[0] : undefined;
  if (constant === 2) return [unary(operator, x, 'Square')];
  if (constant === 0.5) return [unary(operator, x, 'Sqrt')];
  if (constant === 1) return [x];
  if (constant !== undefined) return [withNumber(operator, 'Pow', x, constant)];
  return two('Pow')(operator);
};

const cast: Converter = (operator) => {
  const to = operator.integer('to', 1);
  // All that is calculated is float32; halves and doubles become that too.
  if (![1, 10, 11].includes(to))
    throw operator.fail(`a calculated tensor is cast to ONNX data type ${to}; only to float`);
  return [operator.activation(0)];
};

export const elementwise: Readonly<Record<string, Converter>> = {
  Relu: one('Relu'),
  Sigmoid: one('Sigmoid'),
  Tanh: one('Tanh'),
  Exp: one('Exp'),
  Log: one('Log'),
  Sqrt: one('Sqrt'),
  Neg: one('Neg'),
  Abs: one('Abs'),
  Floor: one('Floor'),
  Ceil: one('Ceil'),
  Round: one('Round'),
  Erf: one('Erf'),
  Softplus: one('Softplus'),
  Reciprocal: one('Reciprocal'),
  Identity: (operator) => [operator.activation(0)],
  Dropout: (operator) => [operator.activation(0)],
  Cast: cast,
  LeakyRelu: (operator) => [
    unary(operator, operator.activation(0), 'LeakyRelu', { alpha: { f: operator.float('alpha', 0.01) } }),
  ],
  PRelu: parametricRelu,
  Elu: elu,
  Clip: (operator) => [clip(operator, operator.activation(0), ...clipBounds(operator))],
  HardSwish: hardSwish,
  HardSigmoid: hardSigmoid,
  Mish: mish,
  Add: two('AddV2'),
  Sub: two('Sub'),
  Mul: two('Mul'),
  Div: two('RealDiv'),
  Pow: power,
  Max: many('Maximum'),
  Min: many('Minimum'),
  Sum: many('AddV2'),
  Mean: many('AddV2', true),
};
