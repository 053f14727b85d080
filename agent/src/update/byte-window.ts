/** Bounds of a window, bytes and pieces. */
export interface WindowBounds {
  first: number;
  least: number;
  most: number;
  pieces: number;
}

/**
 * How much may be asked for ahead. It grows while answers come quickly and shrinks where they take long: on a slow link little is under
 * way when it breaks (what was under way is sent again), on a fast one the wait between question and answer is filled.
 * Pieces are bounded too: a broker may refuse or drop when very many are asked for at once (Mosquitto queues 1000 messages, AWS IoT
 * takes 50 subscriptions of one client).
 */
export class ByteWindow {
  private size: number;

  constructor(private readonly bounds: WindowBounds = { first: 65_536, least: 65_536, most: 1_048_576, pieces: 32 }) {
    this.size = bounds.first;
  }

  /** May `next` bytes be asked for beside those under way? Always, when nothing is. */
  fits(next: number, bytesUnderWay: number, piecesUnderWay: number): boolean {
    if (piecesUnderWay === 0) return true;
    return piecesUnderWay < this.bounds.pieces && bytesUnderWay + next <= this.size;
  }

  /** Is it worth asking? Several questions share a packet when one waits until half the window is free. */
  low(bytesUnderWay: number, piecesUnderWay: number): boolean {
    return bytesUnderWay * 2 <= this.size && piecesUnderWay * 2 <= this.bounds.pieces;
  }

  /** A piece came, `roundTripMs` after it was asked for. */
  answered(bytes: number, roundTripMs: number): void {
    const { least, most } = this.bounds;
    if (roundTripMs < 300) this.size = Math.min(most, this.size + bytes);
    else if (roundTripMs > 1200) this.size = Math.max(least, this.size - bytes / 2);
  }

  /** The connection broke: what is asked for anew begins small. */
  broken(): void {
    this.size = Math.min(this.size, this.bounds.first);
  }
}
