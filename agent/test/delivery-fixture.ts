import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { chunksOf } from '@vigie/models/package/descriptor';
import type { WantedChunk } from '../src/io/delivery/chunk-transport.js';
import { DataLedger } from '../src/io/delivery/data-ledger.js';
import { DeliveryMeter } from '../src/io/delivery/delivery-meter.js';
import type { HttpOpen } from '../src/io/delivery/http-open.js';
import { nodeFileSystem } from '../src/io/node-file-system.js';
import { systemClock } from '../src/io/system-clock.js';
import type { DeliveryPlan } from '../src/update/delivery.js';
import { scratchFolder } from './fleet-fixture.js';

/** A file, cut as a publisher cuts it. */
export interface CutFile {
  sha256: string;
  bytes: Buffer;
  chunks: WantedChunk[];
  bytesOf(chunk: WantedChunk): Buffer;
}

export function cutFile(size: number, bytes = randomBytes(size)): CutFile {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  let offset = 0;
  const chunks = chunksOf(bytes).map((chunk) => {
    const wanted = { sha256: chunk.sha256, length: chunk.bytes.length, file: { sha256, offset } };
    offset += chunk.bytes.length;
    return wanted;
  });
  return { sha256, bytes, chunks, bytesOf: ({ file, length }) => bytes.subarray(file.offset, file.offset + length) };
}

/** What came, and what it cost. */
export async function receiver(plan: Partial<DeliveryPlan> = {}) {
  const got = new Map<string, Buffer>();
  const ledger = new DataLedger(scratchFolder(), nodeFileSystem);
  await ledger.open('2026-11', 1);
  const meter = new DeliveryMeter(
    { maxBytesPerSecond: null, maxBytes: null, monthlyBytes: null, metered: false, ...plan },
    ledger,
    systemClock,
  );
  const twice: string[] = [];
  const onChunk = async (sha256: string, bytes: Buffer): Promise<void> => {
    if (got.has(sha256)) twice.push(sha256);
    got.set(sha256, Buffer.from(bytes));
  };
  return { got, twice, ledger, meter, onChunk };
}

/** A web server whose answers a test writes. */
export class ObjectServer {
  readonly requests: { range: string | undefined }[] = [];
  private server!: Server;

  private constructor(
    private readonly answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  ) {}

  static async start(
    answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  ): Promise<ObjectServer> {
    const made = new ObjectServer(answer);
    made.server = createServer((request, response) => {
      made.requests.push({ range: request.headers.range });
      made.answer(request, response, made.requests.length);
    });
    await new Promise<void>((resolve) => made.server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Answers a request for a part as a good server does; `until` cuts the body after so many bytes of it. */
export function serveRange(file: Buffer, request: IncomingMessage, response: ServerResponse, until?: number): void {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = match === null ? [0, file.length] : [Number(match[1]), Number(match[2]) + 1];
  const body = file.subarray(start, end);
  response.writeHead(206, {
    'content-length': body.length,
    'content-range': `bytes ${start}-${end - 1}/${file.length}`,
  });
  if (until === undefined || until >= body.length) response.end(body);
  else response.write(body.subarray(0, until), () => response.destroy());
}

/** Plain HTTP in place of the board's TLS. */
export const plainOpen: HttpOpen = async (url, { headers, signal }) => {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers, signal, agent: false }, (response) =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, stream: response }),
    );
    asked.once('error', reject);
    asked.end();
  });
};

/** A TCP proxy that passes everything on until it is told to cut. */
export class CuttingProxy {
  /** Bytes passed towards the client. */
  passed = 0;
  /** Cuts all connections when so many further bytes have passed. */
  cutAfter = Number.POSITIVE_INFINITY;
  /** Cuts each new connection when so many bytes have passed on it. */
  cutEvery = Number.POSITIVE_INFINITY;
  /** Nothing is passed on while set. */
  stalled = false;
  private readonly sockets = new Set<Socket>();
  private server!: TcpServer;

  static async start(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy();
    proxy.server = createTcpServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      let left = proxy.cutEvery;
      for (const socket of [client, upstream]) {
        proxy.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          proxy.sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      client.on('data', (bytes) => void (proxy.stalled || upstream.write(bytes)));
      upstream.on('data', (bytes) => {
        if (proxy.stalled || left <= 0) return;
        // A cut falls into the middle of a message.
        const part = bytes.subarray(0, Math.min(left, proxy.cutAfter));
        proxy.passed += part.length;
        proxy.cutAfter -= part.length;
        left -= part.length;
        const broken = proxy.cutAfter <= 0 || left <= 0;
        client.write(part, () => {
          if (broken) proxy.cut();
        });
      });
    });
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  cut(): void {
    this.cutAfter = Number.POSITIVE_INFINITY;
    for (const socket of [...this.sockets]) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
