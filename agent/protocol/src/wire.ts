import type { Static, TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { Envelope } from './dsse.js';
import { Ack, Event, Presence, Reply, Reported, Telemetry } from './messages.js';
import { TufIndex } from './release.js';
import { MAX_MESSAGE_BYTES } from './topics.js';

/** Topic kind → schema of its JSON message. Chunks, snapshots and TUF metadata are bytes, checked by hash or signature. */
export const MESSAGE_SCHEMAS = {
  desired: Envelope,
  commands: Envelope,
  acks: Ack,
  reported: Reported,
  presence: Presence,
  telemetry: Telemetry,
  events: Event,
  replies: Reply,
  'tuf-index': TufIndex,
} as const satisfies Record<string, TSchema>;

export type MessageKind = keyof typeof MESSAGE_SCHEMAS;
/** Topic kind → message type: what makes `publish` and `subscribe` typed. */
export type MessageOf<K extends MessageKind> = Static<(typeof MESSAGE_SCHEMAS)[K]>;

/** Quality of service and retention of each kind (docs/design.md, section 4). */
export const DELIVERY: Record<MessageKind | 'snapshots' | 'chunks' | 'tuf', { qos: 0 | 1; retain: boolean }> = {
  desired: { qos: 1, retain: true },
  commands: { qos: 1, retain: false },
  acks: { qos: 1, retain: false },
  reported: { qos: 1, retain: true },
  presence: { qos: 1, retain: true },
  telemetry: { qos: 0, retain: false },
  events: { qos: 1, retain: false },
  replies: { qos: 1, retain: false },
  'tuf-index': { qos: 1, retain: true },
  snapshots: { qos: 1, retain: false },
  chunks: { qos: 1, retain: true },
  tuf: { qos: 1, retain: true },
};

export type Decoded<T> =
  | { ok: true; message: T }
  | { ok: false; code: 'TOO_LARGE' | 'NOT_JSON' | 'SCHEMA'; detail: string };

const compiled = new Map<MessageKind, TypeCheck<TSchema>>();

function checker(kind: MessageKind): TypeCheck<TSchema> {
  let check = compiled.get(kind);
  if (check === undefined) {
    check = TypeCompiler.Compile(MESSAGE_SCHEMAS[kind] as TSchema);
    compiled.set(kind, check);
  }
  return check;
}

/** The compiled check says yes or no; only what fails it is walked once more for the reason, which takes much longer. */
function problemOf(kind: MessageKind, value: unknown): { path: string; message: string } | undefined {
  const check = checker(kind);
  return check.Check(value) ? undefined : check.Errors(value).First();
}

/** Serialises a message. Throws RangeError when it breaks its own schema or the size limit: a bug of the sender. */
export function encodeMessage<K extends MessageKind>(kind: K, message: MessageOf<K>): Buffer {
  const problem = problemOf(kind, message);
  if (problem !== undefined) throw new RangeError(`${kind}${problem.path}: ${problem.message}`);
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new RangeError(`${kind}: ${bytes.length} bytes exceed ${MAX_MESSAGE_BYTES}`);
  return bytes;
}

/** Parses and checks a message from the network. Unknown fields pass: an old board must live with a new server. */
export function decodeMessage<K extends MessageKind>(kind: K, bytes: Uint8Array): Decoded<MessageOf<K>> {
  if (bytes.byteLength > MAX_MESSAGE_BYTES)
    return { ok: false, code: 'TOO_LARGE', detail: `${bytes.byteLength} bytes` };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error) {
    return { ok: false, code: 'NOT_JSON', detail: (error as Error).message };
  }
  const problem = problemOf(kind, value);
  if (problem !== undefined) return { ok: false, code: 'SCHEMA', detail: `${problem.path || '/'}: ${problem.message}` };
  return { ok: true, message: value as MessageOf<K> };
}
