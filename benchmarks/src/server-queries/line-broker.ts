import { createServer, type Server, type Socket } from 'node:net';

/** MQTT 3.1.1, 2.2.1: the packets that a server and its broker exchange. */
const PACKET = { connect: 1, publish: 3, puback: 4, subscribe: 8, pingRequest: 12 } as const;

interface Line {
  socket: Socket;
  /** Last level but the device's: what this connection subscribed to. */
  kinds: Set<string>;
  nextId: number;
  /** Sent with QoS 1 and not acknowledged. */
  open: number;
}

/**
 * The least of an MQTT 3.1.1 broker that a fleet server can stand on: it plays all boards of a fleet by itself, each message
 * on its own topic, so that what is measured is the server and its database and not ten thousand connections.
 */
export class LineBroker {
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  /** Messages of the server, by topic. */
  onPublish: (topic: string, payload: Buffer) => void = () => undefined;
  /** The server listens (again) to messages of these kinds: what a broker retains would come now. */
  onSubscribe: (kinds: ReadonlySet<string>) => void = () => undefined;

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(): Promise<LineBroker> {
    const broker = new LineBroker();
    await new Promise<void>((resolve) => broker.#server.listen(0, '127.0.0.1', resolve));
    return broker;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Does the server listen to messages of this kind? */
  hears(kind: string): boolean {
    return this.#lineOf(kind) !== undefined;
  }

  /** Messages with QoS 1 that the server has not acknowledged, and bytes that wait for it. */
  get backlog(): { messages: number; bytes: number } {
    let [messages, bytes] = [0, 0];
    for (const { open, socket } of this.#lines) {
      messages += open;
      bytes += socket.writableLength;
    }
    return { messages, bytes };
  }

  /** A message of a board, as the server would have it from a broker. Lost when nobody subscribed to its kind. */
  publish(topic: string, kind: string, payload: Buffer, qos: 0 | 1): void {
    const line = this.#lineOf(kind);
    if (line === undefined) return;
    const name = Buffer.from(topic);
    const id = qos === 0 ? 0 : 2;
    const length = 2 + name.length + id + payload.length;
    const head = Buffer.alloc(1 + 4 + 2);
    head[0] = (PACKET.publish << 4) | (qos << 1);
    const at = writeLength(head, 1, length);
    head.writeUInt16BE(name.length, at);
    const parts = [head.subarray(0, at + 2), name];
    if (qos === 1) {
      line.nextId = (line.nextId % 65_535) + 1;
      line.open += 1;
      parts.push(Buffer.from([line.nextId >> 8, line.nextId & 0xff]));
    }
    line.socket.write(Buffer.concat([...parts, payload]));
  }

  async close(): Promise<void> {
    for (const { socket } of this.#lines) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #lineOf(kind: string): Line | undefined {
    for (const line of this.#lines) if (line.kinds.has(kind)) return line;
    return undefined;
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    const line: Line = { socket, kinds: new Set(), nextId: 0, open: 0 };
    this.#lines.add(line);
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      for (let packet = readPacket(rest); packet !== null; packet = readPacket(rest)) {
        this.#take(line, packet);
        rest = rest.subarray(packet.end);
      }
    });
    socket.on('close', () => this.#lines.delete(line));
    socket.on('error', () => socket.destroy());
  }

  #take(line: Line, { type, flags, body }: Packet): void {
    if (type === PACKET.connect) line.socket.write(Buffer.from([0x20, 2, 0, 0]));
    else if (type === PACKET.pingRequest) line.socket.write(Buffer.from([0xd0, 0]));
    else if (type === PACKET.puback) line.open -= 1;
    else if (type === PACKET.subscribe) {
      const granted: number[] = [];
      for (let at = 2; at < body.length; ) {
        const length = body.readUInt16BE(at);
        line.kinds.add(body.toString('utf8', at + 2, at + 2 + length).split('/')[4]);
        granted.push(body[at + 2 + length]);
        at += 3 + length;
      }
      line.socket.write(Buffer.from([0x90, 2 + granted.length, body[0], body[1], ...granted]));
      this.onSubscribe(line.kinds);
    } else if (type === PACKET.publish) {
      const length = body.readUInt16BE(0);
      const topic = body.toString('utf8', 2, 2 + length);
      const acknowledged = ((flags >> 1) & 3) > 0;
      const from = 2 + length + (acknowledged ? 2 : 0);
      if (acknowledged) line.socket.write(Buffer.from([0x40, 2, body[2 + length], body[3 + length]]));
      this.onPublish(topic, body.subarray(from));
    }
  }
}

interface Packet {
  type: number;
  flags: number;
  body: Buffer;
  /** Where the next one begins. */
  end: number;
}

function readPacket(bytes: Buffer): Packet | null {
  let length = 0;
  for (let at = 1, shift = 0; ; at += 1, shift += 7) {
    if (at >= bytes.length) return null;
    length |= (bytes[at] & 0x7f) << shift;
    if (bytes[at] >= 0x80) continue;
    const from = at + 1;
    if (bytes.length < from + length) return null;
    const body = bytes.subarray(from, from + length);
    return { type: bytes[0] >> 4, flags: bytes[0] & 0x0f, body, end: from + length };
  }
}

function writeLength(to: Buffer, at: number, length: number): number {
  let [place, left] = [at, length];
  do {
    const more = left > 0x7f;
    to[place] = (left & 0x7f) | (more ? 0x80 : 0);
    left >>= 7;
    place += 1;
  } while (left > 0);
  return place;
}
