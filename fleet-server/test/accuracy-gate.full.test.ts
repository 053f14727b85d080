import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import type { BenchmarkResult } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  repository,
  runCli,
  start,
  temporaryFolder,
  ZOO,
  zooPackage,
} from './server-fixture.js';

const CLIP = join(repository, 'models/media/yard.mp4');
const TRUTH = join(repository, 'models/media/yard.boxes.json');
/** The two walkers are in frames 38 to 207. */
const FRAMES = [60, 75, 90, 105, 120, 135, 150, 165, 180, 195];
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
if (!hasFfmpeg) console.warn('accuracy gate skipped: ffmpeg is not installed');

interface Judged {
  certified: string[];
  verdicts: { policy: string; verdict: string; classes: { rules: { why: string; code: string }[] }[] }[];
}

/** Frames of the bundled clip with their rendered truth, as a COCO data set. */
async function yardDataset(folder: string): Promise<void> {
  const truth = JSON.parse(await readFile(TRUTH, 'utf8')) as {
    width: number;
    height: number;
    frames: { persons: { box: [number, number, number, number]; visible: number }[] }[];
  };
  await mkdir(join(folder, 'images'), { recursive: true });
  const chosen = FRAMES.map((frame) => `eq(n,${frame})`).join('+');
  const pattern = join(folder, 'images', '%d.png');
  const frames = ['-vf', `select='${chosen}'`, '-fps_mode', 'passthrough', pattern];
  execFileSync('ffmpeg', ['-v', 'error', '-i', CLIP, ...frames]);
  const { width, height } = truth;
  const images = FRAMES.map((_, index) => ({ id: index + 1, file_name: `${index + 1}.png`, width, height }));
  const boxes = FRAMES.flatMap((frame, index) =>
    truth.frames[frame].persons.map(({ box: [x1, y1, x2, y2] }) => ({
      image_id: index + 1,
      bbox: [x1, y1, x2 - x1, y2 - y1],
    })),
  );
  const annotations = boxes.map(({ image_id, bbox }, index) => ({
    ...{ id: index + 1, image_id, bbox, category_id: 1, area: bbox[2] * bbox[3], iscrowd: 0 },
  }));
  const categories = [{ id: 1, name: 'person' }];
  await writeFile(join(folder, 'coco.json'), JSON.stringify({ images, annotations, categories }));
}

/** Accuracy from a data set to a certificate, as CI does it: evaluate, post, and the gate judges. */
describe.skipIf(!hasFfmpeg)('an accuracy gate', () => {
  let server: RunningServer;
  let api: Api;
  let home: string;
  let folder: string;
  let ci: string;

  const evaluate = async (which: keyof typeof ZOO): Promise<{ file: string; result: BenchmarkResult }> => {
    const file = join(home, `${which}.json`);
    const cli = join(repository, 'models/dist/cli.js');
    const args = [join(repository, ZOO[which]), '--dataset', join(home, 'yard'), '--benchmark', file];
    execFileSync(process.execPath, [cli, 'evaluate', ...args], { stdio: 'ignore' });
    return { file, result: JSON.parse(await readFile(file, 'utf8')) as BenchmarkResult };
  };
  const vigie = async (...args: string[]): Promise<Judged> => {
    const env = { XDG_CONFIG_HOME: home, VIGIE_SERVER: server.httpUrl, VIGIE_TOKEN: ci };
    const { code, stdout, stderr } = await runCli('operator-cli.js', ['--json', ...args], env);
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as Judged;
  };
  const post = async (file: string) =>
    ((await vigie('benchmark', 'post', file)) as unknown as { items: Judged[] }).items[0];
  const gate = async (name: string, rules: object[]) => {
    const certifies = [{ evidence: {}, hardwareClasses: ['generic-x64'] }];
    const policy = { schema: 'vigie.gate/1', name, certifies, rules };
    expect((await api.call('PUT', `/api/v1/gates/${name}`, { policy })).status).toBeLessThan(300);
  };
  const judge = async ({ name, version }: { name: string; version: string }) =>
    (await api.call('POST', `/api/v1/releases/${name}/${version}/judge`)).body as unknown as Judged;
  const on = { benchmark: ['evaluate'] };

  beforeAll(async () => {
    const made = await dataFolder();
    folder = made.dataDirectory;
    home = await temporaryFolder();
    server = await start(folder, { registry: { policy: 'gates' } });
    api = new Api(server.httpUrl, made.adminToken);
    ci = (await api.call('POST', '/api/v1/tokens', { name: 'accuracy job', role: 'ci' })).body.token;
    await yardDataset(join(home, 'yard'));
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await rm(join(folder, '..'), { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
    await dropTemplate();
  });

  it('judges what vigie-models evaluate found, absolutely and against the champion', { timeout: 240_000 }, async () => {
    const int8 = await zooPackage('int8');
    const fp32 = await zooPackage('fp32');
    for (const { bytes } of [int8, fp32])
      expect((await api.call('POST', '/api/v1/releases', bytes)).body.state).toBe('candidate');

    // Both walkers of the rendered clip are easy: INT8 finds nearly all of them, and the limit lies well below that.
    await gate('accuracy', [{ require: 'ap50.person > 0.5', on, minSamples: FRAMES.length }]);
    const first = await evaluate('int8');
    expect(first.result).toMatchObject({
      benchmark: 'evaluate',
      samples: FRAMES.length,
      release: { digest: int8.digest },
    });
    const ap50 = first.result.metrics['ap50.person'];
    expect(ap50).toBeGreaterThan(0.5);
    expect(ap50).toBe(first.result.metrics.ap50);
    const passed = await post(first.file);
    expect([passed.certified, passed.verdicts[0].verdict]).toEqual([['generic-x64'], 'pass']);
    expect(passed.verdicts[0].classes[0].rules[0].why).toMatch(/^ap50\.person is 0\.\d+|^ap50\.person is 1 on/);
    const shown = await api.call('GET', `/api/v1/releases/${int8.name}/${int8.version}`);
    expect(shown.body.state).toBe('released');
    const { items } = (await api.call('GET', `/api/v1/releases/${int8.name}/${int8.version}/certificates`))
      .body as unknown as { items: { measured: Record<string, number> }[] };
    expect(items[0].measured).toEqual({ 'ap50.person': ap50 });

    // The same pictures for the other one: against the champion, which it may not be far below.
    const promotion = {
      name: int8.name,
      version: int8.version,
      alias: 'champion',
      reason: 'the first that was measured',
    };
    expect((await api.call('POST', '/api/v1/promotions', promotion)).status).toBe(201);
    await gate('accuracy', [{ require: 'ap50 >= champion - 0.3', on, minSamples: FRAMES.length }]);
    const second = await evaluate('fp32');
    expect(second.result.pairing).toBe(first.result.pairing);
    const compared = await post(second.file);
    expect([compared.certified, compared.verdicts[0].verdict]).toEqual([['generic-x64'], 'pass']);
    expect(compared.verdicts[0].classes[0].rules[0].why).toContain('champion');
  });

  it('blocks what is not accurate enough, and says by how much; too few pictures say nothing', async () => {
    const int8 = await zooPackage('int8');
    await gate('accuracy', [{ require: 'ap > 0.999', on }]);
    const [strict] = (await judge(int8)).verdicts;
    expect([strict.verdict, strict.classes[0].rules[0].why]).toEqual([
      'fail',
      expect.stringContaining(', evaluate, wanted > 0.999'),
    ]);
    await gate('accuracy', [{ require: 'ap50 > 0.5', on, minSamples: FRAMES.length + 1 }]);
    const [few] = (await judge(int8)).verdicts;
    expect([few.verdict, few.classes[0].rules[0].why]).toEqual([
      'inconclusive',
      expect.stringContaining('1 too few samples'),
    ]);
  }, 60_000);
});
