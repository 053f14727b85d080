import { WebSocket } from 'ws';
import type { FrameArrival } from '../swap-figures.js';

/** A track as `WS /live` shows it. Box 0..1 of the frame. */
export interface LiveTrack {
  id: number;
  label: string;
  score: number;
  box: readonly [number, number, number, number];
}

/** A frame message with its time of arrival here. */
export interface LiveFrame extends FrameArrival {
  latencyMs: number;
  tracks: LiveTrack[];
}

/** An event message; more fields may follow. */
export interface LiveEvent {
  arrivalMs: number;
  id: string;
  type: string;
  trackId: number;
}

/** A change of the model as the board announces it. */
export interface LiveModel {
  arrivalMs: number;
  digest: string | null;
  version?: string;
  precision?: string;
  phase?: string;
}

interface LiveMessage {
  type?: unknown;
  event?: unknown;
}

/** A client of `WS /live`: keeps everything it was sent, in order of arrival. */
export class LiveClient {
  readonly frames: LiveFrame[] = [];
  readonly events: LiveEvent[] = [];
  readonly models: LiveModel[] = [];
  /** Messages that were not JSON. */
  malformed = 0;
  /** Why the socket closed; null while it is connected. */
  ended: string | null = null;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#take(String(data)));
    socket.on('error', (error) => {
      this.ended ??= error.message;
    });
    socket.on('close', (code) => {
      this.ended ??= `the board closed the socket (${code})`;
    });
  }

  /** Connects. Rejects when the board refuses the upgrade. */
  static connect(url: string): Promise<LiveClient> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, { perMessageDeflate: false });
      const client = new LiveClient(socket);
      socket.once('open', () => resolve(client));
      socket.once('error', reject);
    });
  }

  /** Detections seen so far: tracks summed over frames. */
  get detections(): number {
    return this.frames.reduce((sum, frame) => sum + frame.tracks.length, 0);
  }

  #take(text: string): void {
    const arrivalMs = performance.now();
    let message: LiveMessage;
    try {
      message = JSON.parse(text) as LiveMessage;
    } catch {
      this.malformed += 1;
      return;
    }
    // The shapes are the agent's interface; a field that is missing shows as a failed check, never as a crash here.
    if (message.type === 'frame') {
      const frame = message as unknown as Omit<LiveFrame, 'arrivalMs'>;
      this.frames.push({ ...frame, tracks: frame.tracks ?? [], arrivalMs });
    } else if (message.type === 'event') {
      this.events.push({ ...(message.event as Omit<LiveEvent, 'arrivalMs'>), arrivalMs });
    } else if (message.type === 'model') {
      this.models.push({ ...(message as unknown as Omit<LiveModel, 'arrivalMs'>), arrivalMs });
    }
  }

  close(): void {
    this.ended ??= 'closed by the client';
    this.#socket.close();
  }
}
