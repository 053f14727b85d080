import type { ServerResponse } from 'node:http';

export const MJPEG_BOUNDARY = 'vigie';
const CRLF = '\r\n';

/** A viewer that has taken nothing for this long is cut off, ms. */
const STALLED_MS = 15_000;

interface Viewer {
  res: ServerResponse;
  stalledSinceMs: number | null;
}

/** What the header of one part says. */
export interface PartInfo {
  /** Absent on pictures that show no camera frame. */
  sequence?: number;
  capturedAtMs: number;
  digest: string | null;
}

/** One part of the multipart stream: boundary, headers, JPEG, as buffers to be written in order. */
export function partHeader(info: PartInfo, bytes: number): string {
  const lines = [`--${MJPEG_BOUNDARY}`, 'Content-Type: image/jpeg', `Content-Length: ${bytes}`];
  if (info.sequence !== undefined) lines.push(`X-Vigie-Sequence: ${info.sequence}`);
  lines.push(`X-Vigie-Captured-At: ${Math.round(info.capturedAtMs)}`);
  if (info.digest !== null) lines.push(`X-Vigie-Model: ${info.digest}`);
  if (info.sequence === undefined) lines.push('X-Vigie-Signal: none');
  return lines.join(CRLF) + CRLF + CRLF;
}

/** The HTTP responses that one encoded picture goes to. A slow one skips pictures; it never holds back the others. */
export class MjpegViewers {
  private readonly viewers = new Set<Viewer>();
  private skippedCount = 0;

  get count(): number {
    return this.viewers.size;
  }

  /** Pictures not sent to some viewer because it had not taken the last ones. */
  get skipped(): number {
    return this.skippedCount;
  }

  /** Takes over the response: sends the head, and pictures until the client goes. */
  add(res: ServerResponse): void {
    const viewer: Viewer = { res, stalledSinceMs: null };
    res.writeHead(200, {
      'Content-Type': `multipart/x-mixed-replace; boundary=${MJPEG_BOUNDARY}`,
      'Cache-Control': 'no-store',
      Connection: 'close',
    });
    res.flushHeaders();
    res.socket?.setNoDelay(true);
    this.viewers.add(viewer);
    const forget = () => this.viewers.delete(viewer);
    res.on('close', forget);
    res.on('error', forget);
  }

  /** Sends one picture to everyone who has room for it. Room is less than one picture waiting. */
  send(jpeg: Buffer, info: PartInfo): void {
    if (this.viewers.size === 0) return;
    const head = Buffer.from(partHeader(info, jpeg.length), 'latin1');
    const nowMs = performance.now();
    for (const viewer of this.viewers) {
      if (viewer.res.writableLength > jpeg.length) {
        this.skippedCount++;
        viewer.stalledSinceMs ??= nowMs;
        if (nowMs - viewer.stalledSinceMs > STALLED_MS) viewer.res.destroy();
        continue;
      }
      viewer.stalledSinceMs = null;
      viewer.res.cork();
      viewer.res.write(head);
      viewer.res.write(jpeg);
      viewer.res.write(CRLF);
      viewer.res.uncork();
    }
  }

  close(): void {
    for (const { res } of this.viewers) res.end(`--${MJPEG_BOUNDARY}--${CRLF}`);
    this.viewers.clear();
  }
}
