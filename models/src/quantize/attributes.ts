import { type AttributeProto, AttributeType, int64ToNumber, type NodeProto, type TensorProto } from './onnx-proto.js';

/** Reading and making node attributes, by name and type. */
function find(node: NodeProto, name: string, type: number): AttributeProto | undefined {
  return node.attribute?.find((a) => a.name === name && a.type === type);
}

export function integersAttribute(node: NodeProto, name: string): number[] | undefined {
  const attribute = find(node, name, AttributeType.ints);
  return attribute && (attribute.ints ?? []).map((i) => int64ToNumber(i));
}

export function integerAttribute(node: NodeProto, name: string): number | undefined {
  const attribute = find(node, name, AttributeType.int);
  return attribute && int64ToNumber(attribute.i);
}

export function floatAttribute(node: NodeProto, name: string): number | undefined {
  const attribute = find(node, name, AttributeType.float);
  return attribute && (attribute.f ?? 0);
}

export function floatsAttribute(node: NodeProto, name: string): number[] | undefined {
  const attribute = find(node, name, AttributeType.floats);
  return attribute && (attribute.floats ?? []);
}

export function stringAttribute(node: NodeProto, name: string): string | undefined {
  const bytes = find(node, name, AttributeType.string)?.s;
  return bytes && Buffer.from(bytes).toString('utf8');
}

export function tensorAttribute(node: NodeProto, name: string): TensorProto | undefined {
  return find(node, name, AttributeType.tensor)?.t;
}

export function integerOf(name: string, i: number): AttributeProto {
  return { name, type: AttributeType.int, i };
}

export function integersOf(name: string, ints: number[]): AttributeProto {
  return { name, type: AttributeType.ints, ints };
}

export function stringOf(name: string, text: string): AttributeProto {
  return { name, type: AttributeType.string, s: Buffer.from(text) };
}

/** Puts `attribute` in the place of one of the same name, or at the end. */
export function setAttribute(node: NodeProto, attribute: AttributeProto): void {
  node.attribute = [...(node.attribute ?? []).filter((a) => a.name !== attribute.name), attribute];
}

export function removeAttributes(node: NodeProto, ...names: string[]): void {
  node.attribute = (node.attribute ?? []).filter((a) => !names.includes(a.name));
}
