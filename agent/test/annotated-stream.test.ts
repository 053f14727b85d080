import { execFile } from 'node:child_process';
import { get } from 'node:http';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { MjpegReader, until } from './mjpeg-reader.js';
import { annotation, DIGEST, grey, startTestBoard } from './test-board.js';

type TestBoard = Awaited<ReturnType<typeof startTestBoard>>;
let started: TestBoard | null = null;
afterEach(async () => {
  await started?.server.close();
  started = null;
});

async function start(): Promise<TestBoard> {
  started = await startTestBoard();
  return started;
}

/** Offers a frame until a buffer is free: an unhurried camera. `over`: nobody looks any more, and nothing is ever taken. */
async function offer({ board }: TestBoard, sequence: number, over = () => false): Promise<void> {
  const [width, height] = [160, 96];
  const view = grey(width, height, 40 + (sequence % 10) * 18);
  await until(() => over() || board.stream.offer(view, width, height, annotation(sequence)), 'a free buffer');
  view.fill(0);
}

async function brightness(jpeg: Buffer): Promise<number> {
  return (await sharp(jpeg).stats()).channels[1].mean;
}

describe('AnnotatedStream', () => {
  it('does nothing while nobody looks', async () => {
    const { board } = await start();
    expect(board.stream.wanted).toBe(false);
    expect(board.stream.offer(grey(16, 16, 9), 16, 16, annotation(1))).toBe(false);
    expect(board.stream.counters).toEqual({ encoded: 0, busySkips: 0, viewerSkips: 0, failed: 0 });
  });

  it('encodes each frame once for two viewers, in order, with its headers and its own pixels', async () => {
    const test = await start();
    const viewers = await Promise.all([1, 2].map(() => MjpegReader.open(`${test.base}/stream.mjpeg`)));
    await until(() => test.board.stream.viewerCount === 2, 'both viewers');
    for (let sequence = 1; sequence <= 25; sequence++) await offer(test, sequence);
    await until(() => viewers.every(({ parts }) => parts.length === 25), '25 parts each');
    const expected = Array.from({ length: 25 }, (_, index) => index + 1);
    for (const viewer of viewers) {
      expect(viewer.sequences).toEqual(expected);
      expect(viewer.parts[4].headers).toMatchObject({
        'content-type': 'image/jpeg',
        'x-vigie-captured-at': '1800000000005',
        'x-vigie-model': DIGEST,
      });
    }
    expect(viewers[0].parts[24].jpeg.equals(viewers[1].parts[24].jpeg)).toBe(true);
    expect(test.board.stream.counters).toMatchObject({ encoded: 25, viewerSkips: 0, failed: 0 });
    // The frame was wiped on return of `offer`: what was drawn must have been the stream's own copy.
    for (const index of [0, 3, 8]) {
      const luma = 40 + ((index + 1) % 10) * 18;
      expect(await brightness(viewers[0].parts[index].jpeg)).toBeCloseTo(1.164 * (luma - 16), -1);
    }
    for (const viewer of viewers) viewer.close();
    await until(() => !test.board.stream.wanted, 'viewers forgotten');
  });

  it('skips and counts frames when both buffers are busy', async () => {
    const test = await start();
    await MjpegReader.open(`${test.base}/stream.mjpeg`);
    const view = grey(640, 360, 90);
    const taken = [1, 2, 3, 4].map((sequence) => test.board.stream.offer(view, 640, 360, annotation(sequence)));
    expect(taken).toEqual([true, true, false, false]);
    expect(test.board.stream.counters.busySkips).toBe(2);
  });

  it('lets a slow viewer skip frames while a fast one gets them all', async () => {
    const test = await start();
    const slow = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      get(`${test.base}/stream.mjpeg`, resolve).on('error', reject);
    });
    slow.pause();
    slow.on('error', () => undefined);
    const fast = await MjpegReader.open(`${test.base}/stream.mjpeg`);
    await until(() => test.board.stream.viewerCount === 2, 'both viewers');
    // Noise does not compress: the socket buffers of the slow one are full after some frames.
    const noise = new Uint8Array((1280 * 720 * 3) / 2).map((_, index) => (index * 7919 + (index >> 5) * 104729) & 255);
    let sequence = 0;
    while (test.board.stream.counters.viewerSkips < 5 && sequence < 300) {
      sequence++;
      const now = sequence;
      await until(() => test.board.stream.offer(noise, 1280, 720, annotation(now)), 'a free buffer');
      await until(() => fast.parts.length === now, 'the fast viewer');
    }
    expect(test.board.stream.counters.viewerSkips).toBeGreaterThanOrEqual(5);
    expect(fast.sequences).toEqual(Array.from({ length: sequence }, (_, index) => index + 1));
    expect(test.board.stream.viewerCount).toBe(2);
    slow.destroy();
  });

  it('shows viewers that the camera is lost, without a sequence number, until it is back', async () => {
    const test = await start();
    const viewer = await MjpegReader.open(`${test.base}/stream.mjpeg`);
    await offer(test, 1);
    await until(() => viewer.parts.length === 1, 'a frame');
    test.board.stream.noSignal('connection refused');
    await until(() => viewer.parts.length >= 3, 'the no-signal picture, twice');
    expect(viewer.parts[1].headers['x-vigie-sequence']).toBeUndefined();
    expect(viewer.parts[1].headers['x-vigie-signal']).toBe('none');
    expect(await sharp(viewer.parts[1].jpeg).metadata()).toMatchObject({ width: 160, height: 96 });
    await expect(test.board.stream.snapshot()).rejects.toMatchObject({ code: 'NO_SIGNAL' });
    await offer(test, 9);
    await until(() => viewer.sequences.includes(9), 'the camera again');
    viewer.close();
  });

  it('makes a snapshot of the next frame, without any viewer', async () => {
    const test = await start();
    const pending = fetch(`${test.base}/snapshot.jpg`);
    await until(() => test.board.stream.wanted, 'the request');
    await offer(test, 4);
    const reply = await pending;
    expect(reply.headers.get('content-type')).toBe('image/jpeg');
    expect(await sharp(Buffer.from(await reply.arrayBuffer())).metadata()).toMatchObject({
      format: 'jpeg',
      width: 160,
    });
    expect(test.board.stream.wanted).toBe(false);
  });

  it('ends viewers and snapshots when closed', async () => {
    const test = await start();
    const viewer = await MjpegReader.open(`${test.base}/stream.mjpeg`);
    const pending = test.board.stream.snapshot();
    test.board.stream.close();
    await expect(pending).rejects.toMatchObject({ code: 'CLOSED' });
    await until(() => viewer.ended, 'the end of the stream');
  });

  it('is read by ffprobe', async () => {
    const test = await start();
    const probe = promisify(execFile)('ffprobe', [
      ...['-v', 'error', '-f', 'mpjpeg', '-count_frames', '-read_intervals', '%+#5'],
      ...[
        '-show_entries',
        'stream=codec_name,width,height,nb_read_frames',
        '-of',
        'csv=p=0',
        `${test.base}/stream.mjpeg`,
      ],
    ]);
    let done = false;
    const finished = probe.finally(() => {
      done = true;
    });
    await until(() => test.board.stream.viewerCount === 1, 'ffprobe');
    for (let sequence = 1; !done; sequence++) await offer(test, sequence, () => done);
    expect((await finished).stdout.trim()).toMatch(/^mjpeg,160,96,\d+/);
  });
});
