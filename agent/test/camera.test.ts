import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { parseSource } from '../src/io/ffmpeg-arguments.js';
import { FfmpegCamera, type FfmpegCameraOptions } from '../src/io/ffmpeg-camera.js';
import { readByCopy, readFrames } from '../src/io/frame-pipe.js';
import { systemClock } from '../src/io/system-clock.js';
import type { CameraState, CapturedFrame } from '../src/ports.js';
import { until } from './fleet-fixture.js';

const CLIP = fileURLToPath(new URL('../../models/media/yard.mp4', import.meta.url));
const CLIP_FRAMES = 230;
/** Pictures that can be told apart by their grey. */
const GREYS = 24;
const greyOf = (index: number) => ({ r: 10 * index + 8, g: 10 * index + 8, b: 10 * index + 8 });
const pictureOf = (grey: number) => Math.round((grey - 8) / 10);

const running: FfmpegCamera[] = [];
const sources: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((camera) => camera.stop()));
  await Promise.all(sources.splice(0).map((close) => close()));
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

describe('a live source over HTTP', () => {
  /** A camera that shows a lighter grey with each picture, to whoever is connected. */
  async function greyCamera() {
    const pictures = await Promise.all(
      Array.from({ length: GREYS }, (_, index) =>
        sharp({ create: { width: 64, height: 48, channels: 3, background: greyOf(index) } })
          .jpeg()
          .toBuffer(),
      ),
    );
    const viewers = new Set<ServerResponse>();
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace; boundary=frame' });
      viewers.add(response);
      response.on('close', () => viewers.delete(response));
    });
    let shown = 0;
    const timer = setInterval(() => {
      const jpeg = pictures[shown % GREYS];
      shown += 1;
      for (const viewer of viewers) {
        viewer.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
        viewer.write(jpeg);
        viewer.write('\r\n');
      }
    }, 50);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    sources.push(async () => {
      clearInterval(timer);
      for (const viewer of viewers) viewer.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/video`, viewers };
  }

  function watch(url: string, changes: Partial<FfmpegCameraOptions> = {}) {
    const opened = open(url, { lossless: false, model: { width: 32, height: 32, resize: 'stretch' }, ...changes });
    const seen: { sequence: number; width: number; picture: number }[] = [];
    opened.camera.start((frame) => {
      const { sequence, modelSize, model } = frame;
      const width = modelSize?.width ?? 0;
      expect(model.length).toBe(3 * width * width);
      seen.push({ sequence, width, picture: pictureOf(model[0]) });
      frame.release();
    });
    return { ...opened, seen };
  }

  const sizes = (seen: { width: number }[]) => [...new Set(seen.map(({ width }) => width))];

  it('is read', async () => {
    const { url } = await greyCamera();
    const { camera, seen } = watch(url);
    await until('frames', () => seen.length >= 5, 20_000);
    expect(camera.view).toEqual({ width: 64, height: 48 });
  });

  it('changes over to another model’s frame size without missing a picture', async () => {
    const { url, viewers } = await greyCamera();
    const { camera, seen, states } = watch(url);
    await until('frames', () => seen.length >= 5, 20_000);
    const pid = camera.pid;
    camera.useModel({ width: 64, height: 64, resize: 'stretch' });
    await until('frames of the new size', () => seen.filter(({ width }) => width === 64).length >= 5, 25_000);
    await until('the first capture to be gone', () => viewers.size === 1);
    expect(sizes(seen)).toEqual([32, 64]);
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index + 1));
    const first = seen.findIndex(({ width }) => width === 64);
    // One on; a second capture that runs a little ahead or behind may skip or repeat a picture.
    const step = (seen[first].picture - seen[first - 1].picture + GREYS) % GREYS;
    expect([GREYS - 2, GREYS - 1, 0, 1, 2, 3]).toContain(step);
    expect(camera.pid).not.toBe(pid);
    expect(states).toEqual([expect.objectContaining({ status: 'streaming' })]);
  });

  it('does nothing for a model that takes the same frames', async () => {
    const { url, viewers } = await greyCamera();
    const { camera, seen } = watch(url);
    await until('frames', () => seen.length >= 3, 20_000);
    const pid = camera.pid;
    camera.useModel({ width: 32, height: 32, resize: 'stretch', pad: 0 });
    await until('more frames', () => seen.length >= 10, 20_000);
    expect([camera.pid, viewers.size]).toEqual([pid, 1]);
  });

  it('that may be opened only once is opened again, and counts on', async () => {
    const { url, viewers } = await greyCamera();
    const { camera, seen, states } = watch(url, { exclusive: true });
    await until('frames', () => seen.length >= 5, 20_000);
    let most = 0;
    camera.useModel({ width: 64, height: 64, resize: 'stretch' });
    await until(
      'frames of the new size',
      () => {
        most = Math.max(most, viewers.size);
        return sizes(seen).includes(64);
      },
      25_000,
    );
    expect([most, sizes(seen)]).toEqual([1, [32, 64]]);
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index + 1));
    expect(states.every(({ status }) => status === 'streaming')).toBe(true);
  });

  it('that takes no second viewer keeps its size, and has the new one after the next reconnect', async () => {
    const { url, viewers } = await greyCamera();
    const { camera, seen, logged } = watch(url);
    await until('frames', () => seen.length >= 5, 20_000);
    camera.useModel({ width: 64, height: 64, resize: 'stretch' });
    await until('the second viewer', () => viewers.size === 2, 20_000);
    [...viewers][1].destroy();
    await until('the hand-over to be given up', () => logged.some((line) => line.includes('next reconnect')), 20_000);
    const before = seen.length;
    await until('the first capture going on', () => seen.length > before + 3);
    expect(sizes(seen)).toEqual([32]);
    process.kill(camera.pid as number, 'SIGKILL');
    await until('the new size', () => sizes(seen).includes(64), 25_000);
  });
});
