import { Socket } from 'node:net';
import type { FramePart, FrameRing } from './frame-ring.js';

/** Reads one raw stream of ffmpeg into a ring. */
export interface FramePipe {
  /** The ring has room again after it had refused more. */
  wake(): void;
  close(): void;
  /** Settles when everything has been read, or after `close`. */
  readonly ended: Promise<void>;
}

/**
 * Lets the kernel write straight into the ring's slots: a second net.Socket with `onread` takes the pipe over from the
 * stream that child_process made (which offers no buffer of ours). At 640 × 360 that is 12 reads and 652 KB of garbage less
 * per frame, 30 to 70 MB less resident memory on Node 20 to 24, and 0.1 ms less on Node 20. Where that handle cannot be had, chunks are copied once into the slot.
 */
export function readFrames(stream: Socket, part: FramePart, ring: FrameRing): FramePipe {
  const handle = (stream as unknown as { _handle?: object | null })._handle;
  return handle ? readInPlace(handle, part, ring) : readByCopy(stream, part, ring);
}

function readInPlace(handle: object, part: FramePart, ring: FrameRing): FramePipe {
  const options = {
    handle,
    readable: true,
    writable: false,
    onread: {
      buffer: () => ring.target(part),
      callback: (bytes: number) => ring.advance(part, bytes),
    },
  };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  // A pipe that breaks says no more than ffmpeg's exit does, and that is handled.
  socket.on('error', () => socket.destroy());
  socket.resume();
  return { wake: () => socket.resume(), close: () => socket.destroy(), ended: closed(socket) };
}

/** The portable way, with one copy and one chunk of garbage per read. */
export function readByCopy(stream: Socket, part: FramePart, ring: FrameRing): FramePipe {
  let rest: Buffer | null = null;
  const take = (chunk: Buffer): void => {
    let offset = 0;
    while (offset < chunk.length && ring.mayRead(part)) {
      const target = ring.target(part);
      const bytes = Math.min(target.length, chunk.length - offset);
      chunk.copy(target, 0, offset, offset + bytes);
      offset += bytes;
      ring.advance(part, bytes);
    }
    rest = offset < chunk.length ? chunk.subarray(offset) : null;
    if (!ring.mayRead(part)) stream.pause();
  };
  const wake = (): void => {
    const waiting = rest;
    rest = null;
    if (waiting !== null) take(waiting);
    if (rest === null && ring.mayRead(part)) stream.resume();
  };
  stream.on('error', () => stream.destroy());
  stream.on('data', take);
  return { wake: () => setImmediate(wake), close: () => stream.destroy(), ended: closed(stream) };
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
