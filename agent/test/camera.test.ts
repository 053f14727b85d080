import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { parseSource } from '../src/io/ffmpeg-arguments.js';
import { FfmpegCamera, type FfmpegCameraOptions } from '../src/io/ffmpeg-camera.js';
import { readByCopy, readFrames } from '../src/io/frame-pipe.js';
import { systemClock } from '../src/io/system-clock.js';
import type { CameraState, CapturedFrame } from '../src/ports.js';
import { until } from './fleet-fixture.js';

const CLIP = fileURLToPath(new URL('../../models/media/yard.mp4', import.meta.url));
const STILL = fileURLToPath(new URL('../../models/media/stills/still_00.jpg', import.meta.url));
const CLIP_FRAMES = 230;

const running: FfmpegCamera[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((camera) => camera.stop()));
});

function open(url: string, changes: Partial<FfmpegCameraOptions> = {}, readPipe = readFrames) {
  const logged: string[] = [];
  const note = (fields: object, message: string) => logged.push(`${message} ${JSON.stringify(fields)}`);
  const camera = new FfmpegCamera(
    {
      source: parseSource(url),
      realtime: false,
      loop: false,
      lossless: true,
      fps: null,
      viewWidth: 1280,
      stallMs: 20_000,
      model: { width: 320, height: 320, resize: 'stretch' },
      ...changes,
    },
    { clock: systemClock, log: { info: note, warn: note }, random: () => 0, readPipe },
  );
  const states: CameraState[] = [];
  camera.onState((state) => states.push(state));
  running.push(camera);
  return { camera, states, logged };
}

/** Plays a source to its end; gives the sequence numbers and a hash of every byte. */
async function play(opened: ReturnType<typeof open>, onFrame: (frame: CapturedFrame) => void = () => {}) {
  const sequences: number[] = [];
  const hash = createHash('sha256');
  opened.camera.start((frame) => {
    sequences.push(frame.sequence);
    hash.update(frame.model).update(frame.view);
    onFrame(frame);
    frame.release();
  });
  await until('the end of the file', () => opened.camera.state.status === 'ended', 25_000);
  return { sequences, hash: hash.digest('hex') };
}

describe('a file', () => {
  it('is read whole, in order, the same in place and by copy', async () => {
    const inPlace = await play(open(CLIP), (frame) => {
      expect([frame.model.length, frame.view.length]).toEqual([3 * 320 * 320, (640 * 360 * 3) / 2]);
    });
    expect(inPlace.sequences).toEqual(Array.from({ length: CLIP_FRAMES }, (_, index) => index + 1));
    const copied = await play(open(CLIP, {}, readByCopy));
    expect(copied).toEqual(inPlace);
  });

  it('waits for a slow consumer and loses nothing', async () => {
    const opened = open(CLIP);
    const sequences: number[] = [];
    opened.camera.start((frame) => {
      sequences.push(frame.sequence);
      opened.camera.pause();
      setTimeout(() => {
        frame.release();
        opened.camera.resume();
      }, 1);
    });
    await until('the end of the file', () => opened.camera.state.status === 'ended', 25_000);
    expect(sequences).toHaveLength(CLIP_FRAMES);
  });

  it('is letterboxed and scaled for viewers as asked', async () => {
    const opened = open(CLIP, { viewWidth: 320, model: { width: 64, height: 64, resize: 'letterbox', pad: 114 } });
    let checked = 0;
    await play(opened, ({ model, content }) => {
      if (checked > 0) return;
      checked += 1;
      expect(content).toEqual({ x: 0, y: 14 / 64, width: 1, height: 36 / 64 });
      // Above the picture every plane is grey; in it some sample is not.
      for (let plane = 0; plane < 3; plane += 1) {
        const at = plane * 64 * 64;
        expect(new Set(model.subarray(at, at + 14 * 64))).toEqual(new Set([114]));
        expect(new Set(model.subarray(at + 14 * 64, at + 50 * 64)).size).toBeGreaterThan(10);
      }
    });
    expect([checked, opened.camera.view]).toEqual([1, { width: 320, height: 180 }]);
  });
});

describe('a camera that fails', () => {
  it('is tried again with backoff, and says why', async () => {
    const { camera, states } = open('/nowhere/camera.mp4');
    camera.start((frame) => frame.release());
    const tries = await until('two attempts', () => states.length >= 2 && states);
    expect(tries).toMatchObject([
      { status: 'retrying', attempt: 1, nextAttemptInMs: 750, reason: expect.stringContaining('No such file') },
      { status: 'retrying', attempt: 2, nextAttemptInMs: 1500 },
    ]);
  });

  it('keeps its password to itself', async () => {
    const { camera, states, logged } = open('rtsp://user:secret@127.0.0.1:9/stream');
    camera.start((frame) => frame.release());
    await until('an attempt', () => states.length > 0);
    expect(JSON.stringify([states, logged])).not.toContain('secret');
  });

  it('is started again when it falls silent, and counts on', async () => {
    const { camera, states } = open(CLIP, { realtime: true, loop: true, lossless: false, stallMs: 800 });
    const sequences: number[] = [];
    camera.start((frame) => {
      sequences.push(frame.sequence);
      frame.release();
    });
    await until('frames', () => sequences.length >= 3);
    process.kill(camera.pid as number, 'SIGSTOP');
    await until('the stall to be seen', () => states.some((state) => state.status === 'retrying'));
    const before = sequences.length;
    await until('frames again', () => sequences.length > before + 2, 20_000);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(states.find((state) => state.status === 'retrying')).toMatchObject({ reason: 'no frame for 0.8 s' });
  });
});

it('reads HTTP MJPEG', async () => {
  const jpeg = readFileSync(STILL);
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace; boundary=frame' });
    const timer = setInterval(() => {
      response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
      response.write(jpeg);
      response.write('\r\n');
    }, 20);
    response.on('close', () => clearInterval(timer));
  });
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/video`;
  const { camera } = open(url, { lossless: false });
  let frames = 0;
  camera.start((frame) => {
    frames += 1;
    frame.release();
  });
  await until('frames', () => frames >= 5, 20_000);
  expect(camera.view).toEqual({ width: 640, height: 360 });
  for (const socket of sockets) socket.destroy();
  server.close();
});
