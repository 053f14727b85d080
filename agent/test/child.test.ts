import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPackageDirectory } from '@vigie/models/package/package';
import { decodePicture } from '@vigie/models/package/picture';
import { intersectionOverUnion } from '@vigie/models/runtime/detection';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { InferenceChildFactory, type InferenceChildOptions } from '../src/io/inference-child.js';
import type { Detector } from '../src/ports.js';
import { until } from './fleet-fixture.js';

const PACKAGE = fileURLToPath(new URL('../../models/zoo/person-detector-int8', import.meta.url));
/** The child is a program of its own: it runs built. */
const ENTRY = fileURLToPath(new URL('../dist/io/inference-main.js', import.meta.url));
const PLANES = new Uint8Array(3 * 320 * 320);

const scratch = mkdtempSync(join(tmpdir(), 'vigie-child-'));
const detectors: Detector[] = [];
afterEach(async () => {
  await Promise.all(detectors.splice(0).map((detector) => detector.close()));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function makeFactory(changes: Partial<InferenceChildOptions> = {}) {
  return new InferenceChildFactory({
    threads: 1,
    frameTimeoutMs: 10_000,
    loadTimeoutMs: 30_000,
    floorRatio: 1,
    log: { debug() {}, warn() {} },
    entry: ENTRY,
    ...changes,
  });
}

async function spawn(changes: Partial<InferenceChildOptions> = {}, directory = PACKAGE) {
  const factory = makeFactory(changes);
  const detector = await factory.spawn(directory, 'background');
  detectors.push(detector);
  return { factory, detector };
}

describe('an inference child', () => {
  it('finds what the golden frames of its package show', async () => {
    const { manifest, digest } = await openPackageDirectory(PACKAGE);
    const { detector } = await spawn();
    expect(detector).toMatchObject({ name: 'person-detector', version: manifest.version, digest, precision: 'int8' });
    for (const golden of manifest.golden) {
      const { frame } = await decodePicture(await readFile(join(PACKAGE, golden.file)), manifest.input);
      const { detections, stagesMs } = await detector.detect(frame.data, frame.width, frame.height);
      expect(detections).toHaveLength(golden.detections.length);
      for (const wanted of golden.detections) {
        const box = wanted.box as [number, number, number, number];
        const found = detections.some((one) => intersectionOverUnion(one.box, box) >= golden.tolerance.iou);
        expect(found).toBe(true);
      }
      expect(stagesMs.inference).toBeGreaterThan(0);
    }
  });

  it('returns weaker detections down to the floor asked for', async () => {
    const { manifest } = await openPackageDirectory(PACKAGE);
    const golden = manifest.golden.find((one) => one.detections.length > 0) as (typeof manifest.golden)[number];
    const { frame } = await decodePicture(await readFile(join(PACKAGE, golden.file)), manifest.input);
    const { detector } = await spawn({ floorRatio: 0.2 });
    const { detections } = await detector.detect(frame.data, frame.width, frame.height);
    expect(detections.length).toBeGreaterThan(golden.detections.length);
    expect(Math.min(...detections.map(({ score }) => score))).toBeLessThan(manifest.thresholds.default);
  });

  it('that is killed rejects its call, says so once, and leaves the list', async () => {
    const { factory, detector } = await spawn();
    const reasons: string[] = [];
    detector.onCrash((reason) => reasons.push(reason));
    expect([...factory.pids]).toEqual([detector.pid]);
    const call = expect(detector.detect(PLANES, 320, 320)).rejects.toMatchObject({ code: 'CHILD_DIED' });
    process.kill(detector.pid, 'SIGKILL');
    await call;
    expect(reasons).toEqual(['SIGKILL']);
    await expect(detector.detect(PLANES, 320, 320)).rejects.toThrow('gone');
    await until('the child to be off the list', () => factory.pids.size === 0);
  });

  it('that died before anyone listened is told of all the same', async () => {
    const { detector } = await spawn();
    process.kill(detector.pid, 'SIGKILL');
    while (
      await detector.detect(PLANES, 320, 320).then(
        () => true,
        () => false,
      )
    );
    const reason = await new Promise<string>((resolve) => detector.onCrash(resolve));
    expect(reason).toBe('SIGKILL');
  });

  it('that hangs is killed', async () => {
    const { detector } = await spawn({ frameTimeoutMs: 300 });
    process.kill(detector.pid, 'SIGSTOP');
    await expect(detector.detect(PLANES, 320, 320)).rejects.toThrow('no answer within 300 ms');
    await until('the process to be gone', () => !alive(detector.pid));
  });

  it('ends after the call in flight when it is closed, without a crash being told', async () => {
    const { detector } = await spawn();
    let crashed = false;
    detector.onCrash(() => {
      crashed = true;
    });
    const call = detector.detect(PLANES, 320, 320);
    await detector.close();
    expect((await call).stagesMs.inference).toBeGreaterThan(0);
    expect([crashed, alive(detector.pid)]).toEqual([false, false]);
  });

  it('takes frames of another size than its model', async () => {
    const { detector } = await spawn();
    // One colour looks the same at any size.
    const small = await detector.detect(new Uint8Array(3 * 64 * 48), 64, 48);
    const own = await detector.detect(PLANES, 320, 320);
    expect(small.detections).toEqual(own.detections);
  });

  it('sees nothing of the environment of the agent', async () => {
    process.env.VIGIE_HTTP_TOKEN = 'a-secret-of-the-agent';
    const { detector } = await spawn();
    delete process.env.VIGIE_HTTP_TOKEN;
    expect(readFileSync(`/proc/${detector.pid}/environ`, 'utf8')).not.toContain('secret');
  });
});

describe('a package that does not load', () => {
  it('is refused with the code of the fault', async () => {
    await expect(makeFactory().spawn(join(scratch, 'nowhere'), 'live')).rejects.toMatchObject({
      code: 'PACKAGE_NOT_FOUND',
    });
    const broken = join(scratch, 'broken');
    cpSync(PACKAGE, broken, { recursive: true });
    const bytes = readFileSync(join(broken, 'model.onnx'));
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(join(broken, 'model.onnx'), bytes);
    await expect(makeFactory().spawn(broken, 'live')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('or whose child cannot be run at all is told apart', async () => {
    const factory = makeFactory({ entry: join(scratch, 'no-program.js') });
    await expect(factory.spawn(PACKAGE, 'live')).rejects.toMatchObject({ code: 'CHILD_DIED' });
    expect(factory.pids.size).toBe(0);
  });
});

function alive(pid: number): boolean {
  try {
    // A zombie that waits to be reaped is gone too.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
