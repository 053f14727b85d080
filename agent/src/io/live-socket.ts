import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Box } from '@vigie/models/runtime/detection';
import type { Event } from '@vigie/protocol';
import { WebSocket, WebSocketServer } from 'ws';

/** Result of one frame. */
export interface LiveFrame {
  type: 'frame';
  sequence: number;
  /** Wall clock of the frame's arrival, ms since 1970. */
  at: number;
  digest: string;
  /** From the frame's arrival to its result, ms. */
  latencyMs: number;
  tracks: readonly { id: number; label: string; score: number; box: Box }[];
}

export interface LiveEvent {
  type: 'event';
  event: Event;
}

/** A model came, went live, or an install moved on. */
export interface LiveModel {
  type: 'model';
  digest: string;
  name: string;
  version: string;
  precision: string;
  phase: string;
}

export type LiveMessage = LiveFrame | LiveEvent | LiveModel;

export interface LiveSocketOptions {
  maxClients: number;
  /** A client with more than this waiting gets no frames until it has read on, bytes. */
  skipFramesAboveBytes: number;
  /** A client with more than this waiting is closed, bytes. */
  closeAboveBytes: number;
  /** Silent clients are found by a ping at this interval, ms. */
  pingEveryMs: number;
}

const DEFAULTS: LiveSocketOptions = {
  maxClients: 32,
  skipFramesAboveBytes: 64 * 1024,
  closeAboveBytes: 1024 * 1024,
  pingEveryMs: 20_000,
};

/** Clients of `WS /live`. Each message is serialised once; slow clients lose frames, never events, and at last the connection. */
export class LiveSocketHub {
  private readonly options: LiveSocketOptions;
  /** A client has nothing to say: anything over 1 KiB is a fault. */
  private readonly server = new WebSocketServer({ noServer: true, maxPayload: 1024, perMessageDeflate: false });
  private readonly answered = new WeakSet<WebSocket>();
  private readonly pings: NodeJS.Timeout;
  private lastModel: string | null = null;
  private skipped = 0;
  private cut = 0;

  constructor(options: Partial<LiveSocketOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    this.pings = setInterval(() => this.ping(), this.options.pingEveryMs);
    this.pings.unref();
  }

  get clientCount(): number {
    return this.server.clients.size;
  }

  /** Frame messages not sent to some client, and clients closed because they did not read. */
  get counters(): { framesSkipped: number; clientsCut: number } {
    return { framesSkipped: this.skipped, clientsCut: this.cut };
  }

  /** Completes the handshake of an accepted request, or answers 503 when there are too many clients. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.server.clients.size >= this.options.maxClients) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () =>
        socket.destroy(),
      );
      return;
    }
    this.server.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => client.terminate());
      client.on('pong', () => this.answered.add(client));
      this.answered.add(client);
      if (this.lastModel !== null) client.send(this.lastModel);
    });
  }

  broadcastFrame(frame: LiveFrame): void {
    if (this.server.clients.size === 0) return;
    this.broadcast(JSON.stringify(frame), true);
  }

  broadcastEvent(event: Event): void {
    if (this.server.clients.size === 0) return;
    this.broadcast(JSON.stringify({ type: 'event', event } satisfies LiveEvent), false);
  }

  /** Sent to everyone, and as the first message to those who come later. */
  broadcastModel(model: LiveModel): void {
    this.lastModel = JSON.stringify(model);
    this.broadcast(this.lastModel, false);
  }

  /** Says good-bye to all clients (1001, going away) and cuts those who do not answer. */
  async close(): Promise<void> {
    clearInterval(this.pings);
    const clients = [...this.server.clients];
    const gone = clients.map((client) => new Promise<void>((resolve) => client.once('close', () => resolve())));
    for (const client of clients) client.close(1001, 'agent stops');
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate();
    }, 500);
    await Promise.all(gone);
    clearTimeout(timer);
    this.server.close();
  }

  private broadcast(text: string, skippable: boolean): void {
    for (const client of this.server.clients) {
      if (client.readyState !== WebSocket.OPEN) continue;
      if (client.bufferedAmount > this.options.closeAboveBytes) {
        this.cut++;
        client.terminate();
      } else if (skippable && client.bufferedAmount > this.options.skipFramesAboveBytes) {
        this.skipped++;
      } else {
        client.send(text);
      }
    }
  }

  private ping(): void {
    for (const client of this.server.clients) {
      if (this.answered.delete(client)) client.ping();
      else client.terminate();
    }
  }
}
