/** An attribute as `NodeDef` has it in JSON (tensorflow/core/framework/attr_value.proto). */
export type Attribute =
  | { type: string }
  | { s: string }
  | { b: boolean }
  | { f: number }
  | { i: string }
  | { list: { i: string[] } | { s: string[] } }
  | { shape: { dim: { size: string }[] } }
  | { tensor: { dtype: string; tensorShape: { dim: { size: string }[] } } };

export interface NodeDef {
  name: string;
  op: string;
  input?: string[];
  attr: Record<string, Attribute>;
}

/** A tensor of the graph that stands in the weight file. */
export interface Weight {
  name: string;
  dims: number[];
  values: Float32Array | Int32Array;
}

export const attribute = {
  float: { type: 'DT_FLOAT' },
  int32: { type: 'DT_INT32' },
  ints: (values: readonly number[]): Attribute => ({ list: { i: values.map(String) } }),
  texts: (values: readonly string[]): Attribute => ({ list: { s: values.map(base64) } }),
  text: (value: string): Attribute => ({ s: base64(value) }),
  shape: (dims: readonly number[]): Attribute => ({ shape: shapeOf(dims) }),
} as const;

/** Collects the nodes and weights of a TensorFlow graph, in the order in which they are asked for. */
export class GraphBuilder {
  readonly nodes: NodeDef[] = [];
  readonly weights: Weight[] = [];
  private readonly taken = new Set<string>();
  private readonly small = new Map<string, string>();

  /** `reserved`: names kept for `placeholder` and `output`. */
  constructor(reserved: readonly string[]) {
    for (const name of reserved) this.taken.add(nodeName(name));
  }

  placeholder(name: string, dims: readonly number[]): string {
    const node = nodeName(name);
    this.nodes.push({ name: node, op: 'Placeholder', attr: { dtype: attribute.float, shape: attribute.shape(dims) } });
    return node;
  }

  /** Gives a value the name it has outside. */
  output(name: string, input: string): string {
    const node = nodeName(name);
    this.nodes.push({ name: node, op: 'Identity', input: [input], attr: { T: attribute.float } });
    return node;
  }

  node(op: string, input: readonly string[], attr: Record<string, Attribute>, hint: string): string {
    const name = this.free(hint);
    this.nodes.push({ name, op, input: [...input], attr: { T: attribute.float, ...attr } });
    return name;
  }

  floats(values: Float32Array, dims: readonly number[], hint: string): string {
    return this.weight({ name: hint, dims: [...dims], values });
  }

  integers(values: readonly number[], hint: string): string {
    return this.weight({ name: hint, dims: [values.length], values: Int32Array.from(values) });
  }

  integer(value: number, hint: string): string {
    return this.weight({ name: hint, dims: [], values: Int32Array.of(value) });
  }

  private weight({ name: hint, dims, values }: Weight): string {
    const float = values instanceof Float32Array;
    // Axes, paddings and factors come back again and again; weights do not, and comparing them would take long.
    const key = values.length <= 16 ? `${float} ${dims.join()} ${values.join()}` : undefined;
    const known = key === undefined ? undefined : this.small.get(key);
    if (known !== undefined) return known;
    const name = this.free(hint);
    const dtype = float ? 'DT_FLOAT' : 'DT_INT32';
    const value: Attribute = { tensor: { dtype, tensorShape: shapeOf(dims) } };
    this.nodes.push({ name, op: 'Const', attr: { dtype: { type: dtype }, value } });
    this.weights.push({ name, dims, values });
    if (key !== undefined) this.small.set(key, name);
    return name;
  }

  private free(hint: string): string {
    const base = nodeName(hint);
    let name = base;
    for (let count = 1; this.taken.has(name); count++) name = `${base}_${count}`;
    this.taken.add(name);
    return name;
  }
}

/** A name TensorFlow allows ([A-Za-z0-9.][A-Za-z0-9_.\\-/]*); names of ONNX may hold anything. */
export function nodeName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_.\-/]/g, '_').replace(/^[^A-Za-z0-9.]+/, '');
  return plain === '' ? 'node' : plain;
}

function shapeOf(dims: readonly number[]): { dim: { size: string }[] } {
  return { dim: dims.map((size) => ({ size: String(size) })) };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
