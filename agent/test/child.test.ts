import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GoldenFrame } from '@vigie/models/package/manifest';
import { type OpenPackage, openPackageDirectory } from '@vigie/models/package/package';
import { decodePicture } from '@vigie/models/package/picture';
import { intersectionOverUnion } from '@vigie/models/runtime/detection';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ChildPacer } from '../src/io/child-pacer.js';
import { readGolden } from '../src/io/golden-reader.js';
import { InferenceChildFactory, type InferenceChildOptions } from '../src/io/inference-child.js';
import type { Detector } from '../src/ports.js';
import { selfTest } from '../src/update/self-test.js';
import { until } from './fleet-fixture.js';

const PACKAGE = fileURLToPath(new URL('../../models/zoo/person-detector-int8', import.meta.url));
/** The child is a program of its own: it runs built. */
const ENTRY = fileURLToPath(new URL('../dist/io/inference-main.js', import.meta.url));
const PLANES = new Uint8Array(3 * 320 * 320);

const scratch = mkdtempSync(join(tmpdir(), 'vigie-child-'));
const detectors: Detector[] = [];
const factories: InferenceChildFactory[] = [];
/** As `linuxPacer` starts paced children. */
const LAUNCHER = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'];
const NEVER = new AbortController().signal;
afterEach(async () => {
  await Promise.all(factories.splice(0).map((factory) => factory.close()));
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

describe('a spare child', () => {
  const open = openPackageDirectory(PACKAGE);

  async function withSpare(changes: Partial<InferenceChildOptions> = {}) {
    const factory = makeFactory(changes);
    factories.push(factory);
    factory.keepSpare();
    await until('the spare to run', () => factory.pids.size === 1);
    return { factory, spare: [...factory.pids][0] };
  }

  it('becomes the next detector, and is replaced only when no more than one model is loaded', async () => {
    const { factory, spare } = await withSpare();
    const first = await factory.spawn(PACKAGE, 'background', await open);
    detectors.push(first);
    expect([first.pid, first.digest]).toEqual([spare, (await open).digest]);
    expect((await first.detect(PLANES, 320, 320)).stagesMs.inference).toBeGreaterThan(0);
    const second = await factory.spawn(PACKAGE, 'background', await open);
    expect([...factory.pids].sort()).toEqual([first.pid, second.pid].sort());
    await second.close();
    await until('another spare', () => factory.pids.size === 2);
    expect([...factory.pids]).not.toContain(second.pid);
  });

  it('that died meanwhile is not taken', async () => {
    const { factory, spare } = await withSpare();
    process.kill(spare, 'SIGKILL');
    await until('the spare to be gone', () => factory.pids.size === 0);
    const detector = await factory.spawn(PACKAGE, 'live', await open);
    detectors.push(detector);
    expect(detector.pid).not.toBe(spare);
  });

  it('is not kept where memory is short, and ends with its factory', async () => {
    const poor = makeFactory({ mayKeepSpare: () => false });
    poor.keepSpare();
    expect(poor.pids.size).toBe(0);
    const { factory, spare } = await withSpare();
    await factory.close();
    await until('the spare to be gone', () => !alive(spare));
  });

  it('loads only the model file that was checked', async () => {
    const { factory } = await withSpare();
    const swapped = join(scratch, 'swapped');
    cpSync(PACKAGE, swapped, { recursive: true });
    cpSync(join(PACKAGE, '../person-detector-fp32/model.onnx'), join(swapped, 'model.onnx'));
    await expect(factory.spawn(swapped, 'background', await open)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('a child under a CPU quota', () => {
  it('is slowed down until it is promoted, and finds what it must', async () => {
    const signals: string[] = [];
    const pacer = new ChildPacer({ cpus: 0.5, usedMs: () => null }, LAUNCHER, {
      now: () => performance.now(),
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      signal: (pid, signal) => {
        signals.push(signal);
        return process.kill(pid, signal);
      },
    });
    const open = await openPackageDirectory(PACKAGE);
    const factory = makeFactory({ pacer });
    factories.push(factory);
    const detector = await factory.spawn(PACKAGE, 'background', open);
    detectors.push(detector);
    expect(signals.filter((signal) => signal === 'SIGSTOP').length).toBeGreaterThan(3);
    await selfTest(detector, await readGolden({ directory: PACKAGE, open }), open.manifest.thresholds.default, NEVER);
    const paced = signals.length;
    await detector.detect(PLANES, 320, 320);
    expect(signals).toHaveLength(paced);
    expect(/^State:\s+[RS]/m.test(readFileSync(`/proc/${detector.pid}/status`, 'utf8'))).toBe(true);
  });
});

describe('the golden self-test', () => {
  const changed = async (change: (golden: GoldenFrame) => GoldenFrame) => {
    const open = await openPackageDirectory(PACKAGE);
    return { ...open, manifest: { ...open.manifest, golden: open.manifest.golden.map(change) } };
  };
  const test = async (open: OpenPackage) => {
    const { detector } = await spawn();
    return selfTest(detector, await readGolden({ directory: PACKAGE, open }), open.manifest.thresholds.default, NEVER);
  };

  it('passes the shipped package', async () => {
    await test(await changed((golden) => golden));
  });

  it('fails when the last frame alone shows something else', async () => {
    const { manifest } = await openPackageDirectory(PACKAGE);
    const last = manifest.golden[manifest.golden.length - 1].file;
    const person = { label: 'person', score: 0.9, box: [0.1, 0.1, 0.3, 0.5] };
    const open = await changed((golden) => (golden.file === last ? { ...golden, detections: [person] } : golden));
    await expect(test(open)).rejects.toMatchObject({ code: 'GOLDEN_MISMATCH' });
  });

  it('fails when a picture cannot be decoded', async () => {
    const open = await changed((golden) => ({ ...golden, file: 'labels.txt' }));
    await expect(test(open)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
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
