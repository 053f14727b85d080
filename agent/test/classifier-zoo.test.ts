import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPackageDirectory } from '@vigie/models/package/package';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { InferenceChildFactory } from '../src/io/inference-child.js';
import { type Board, startBoard } from './board-fixture.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';
import { MjpegReader } from './mjpeg-reader.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CLIP = at('../../models/media/yard.mp4');
const CLASSIFIER = at('../../models/zoo/person-classifier-int8');
const DETECTOR = at('../../models/zoo/person-detector-int8');

const scratch = mkdtempSync(join(tmpdir(), 'vigie-classifier-zoo-'));
const agents: ChildProcess[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.kill('SIGKILL');
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The built agent with the shipped INT8 classifier; gives the lines of its log. */
function start(name: string, source: object) {
  const config = join(scratch, `${name}.yaml`);
  writeFileSync(
    config,
    JSON.stringify({
      data: { directory: join(scratch, name) },
      http: { port: 0 },
      model: { directory: CLASSIFIER },
      source,
    }),
  );
  const child = spawn(process.execPath, [at('../dist/cli.js'), 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  agents.push(child);
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const log = (msg: string): Record<string, unknown>[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
      .filter((line) => line.msg === msg);
  return { log, exited: new Promise<number | null>((resolve) => child.once('exit', resolve)) };
}

describe('the shipped person classifier on a board', () => {
  it('that looks at a door tells who comes there and that they have gone', async () => {
    // a classifier answers for all it sees: the camera must look at one place
    const door = join(scratch, 'door.mp4');
    execFileSync('ffmpeg', ['-v', 'error', '-i', CLIP, '-vf', 'crop=120:120:360:80', '-crf', '10', '-y', door]);
    const { log, exited } = start('door', { url: door, pacing: 'unpaced', exitAtEnd: true });
    expect(await exited).toBe(0);
    const story = log('event')
      .filter(({ type }) => type !== 'update')
      .map(({ type, label, frame }) => ({ type, label, frame: Number(frame) }));
    const visit = story.findIndex(({ type, label }) => type === 'start' && label === 'person');
    // nobody is in the picture for the first 38 frames, nor from frame 208 on
    expect(story[0]).toMatchObject({ type: 'start', label: 'no-person' });
    expect(visit).toBeGreaterThan(0);
    expect(story[visit].frame).toBeGreaterThan(38);
    const gone = story.filter(({ type, label }) => type === 'end' && label === 'person').at(-1);
    expect(gone?.frame).toBeLessThan(229);
    expect(story.filter(({ type }) => type === 'start')).toHaveLength(
      story.filter(({ type }) => type === 'end').length,
    );
  });

  it('says what runs, and writes its label into the picture', async () => {
    const { log } = start('yard', { url: CLIP, loop: true });
    await until('the agent to listen', () => log('listening').length > 0);
    const base = String(log('listening')[0].http).replace(/\/$/, '');
    await until('an event', () => log('event').some(({ type }) => type === 'start'));
    const open = await openPackageDirectory(CLASSIFIER);
    expect(await (await fetch(`${base}/model/info`)).json()).toMatchObject({
      name: 'person-classifier',
      version: open.manifest.version,
      precision: 'int8',
      digest: open.digest,
      labels: ['no-person', 'person'],
      runtime: expect.stringContaining('onnxruntime'),
    });

    const viewer = await MjpegReader.open(`${base}/stream.mjpeg`);
    await until('a picture', () => viewer.parts.length > 3);
    viewer.close();
    const { jpeg } = viewer.parts[3];
    if (process.env.VIGIE_KEEP_PICTURE) writeFileSync(process.env.VIGIE_KEEP_PICTURE, jpeg);
    const shown = await sharp(jpeg).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const plain = execFileSync('ffmpeg', [
      ...['-v', 'error', '-i', CLIP, '-frames:v', '1', '-s', `${shown.info.width}x${shown.info.height}`],
      ...['-pix_fmt', 'rgb24', '-f', 'rawvideo', '-'],
    ]);
    const change = (left: number, top: number, width: number, height: number) => {
      let sum = 0;
      for (let y = top; y < top + height; y++)
        for (let i = 3 * (y * shown.info.width + left); i < 3 * (y * shown.info.width + left + width); i++)
          sum += Math.abs(shown.data[i] - plain[i]);
      return sum / (3 * width * height);
    };
    // the label's tag in the corner; sky and walls at the right are as the camera saw them
    expect(change(0, 0, 40, 10)).toBeGreaterThan(40);
    expect(change(shown.info.width - 60, 20, 50, 40)).toBeLessThan(15);
  });
});

describe('a board changes', () => {
  let broker: TestBroker;
  let board: Board | undefined;
  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(async () => {
    await board?.stop();
    await broker.close();
  });

  it('from the detector to the classifier and back, while it runs', { timeout: 60_000 }, async () => {
    const bundled = join(scratchFolder(), 'detector');
    cpSync(DETECTOR, bundled, { recursive: true });
    const fleet = new TestFleet(broker);
    const factory = new InferenceChildFactory({
      threads: 1,
      frameTimeoutMs: 10_000,
      loadTimeoutMs: 60_000,
      floorRatio: 1,
      log: { debug() {}, warn() {} },
      entry: at('../dist/io/inference-main.js'),
    });
    board = await startBoard({ identity: fleet.identity, bundled, factory });
    const { live, updater } = board;
    await until('live results', () => (updater.status().active?.framesRun ?? 0) > 20);

    // A detector finds nothing where a classifier still answers: how much each says is no measure of the other.
    const trial = { minFrames: 10, compareEvery: 2, deadlineMs: 30_000, maxLatencyRatio: 100, minDetectionRatio: 0 };
    const releases = [await fleet.publish(CLASSIFIER), await fleet.publish(bundled)];
    const expected = [['no-person', 'person'], ['person']];
    for (const [index, release] of releases.entries()) {
      await fleet.assign(release, index + 1, { trial });
      const reported = await until(
        `the end of generation ${index + 1}`,
        () =>
          fleet.reports.findLast(
            ({ generation, phase }) =>
              generation === index + 1 && ['COMMITTED', 'ROLLED_BACK', 'FAILED'].includes(phase),
          ),
        30_000,
      );
      expect(reported).toMatchObject({ phase: 'COMMITTED', error: null, swap: { durationMs: expect.any(Number) } });
      expect(live.active?.labels).toEqual(expected[index]);
    }
  });
});
