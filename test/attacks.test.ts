import { generateKeyPairSync } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstallErrorCode, ReleaseDescriptor, Reported } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Board, enrollBoard, startBoard } from '../benchmarks/src/rig/board.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';
import { ForgedFleet, type ForgedRelease } from './support/forged-fleet.js';
import { type ModelInfo, modelInfo } from './support/model-info.js';
import { newTufKey } from './support/tuf-forge.js';

/**
 * A real board with a running model is offered bad releases by a fleet in the test's hands. Each attack has a code of
 * its own, the old model stays and goes on detecting, and the honest release installs afterwards: so the refusals were
 * about the attacks.
 */
describe('a board that is offered a bad release', () => {
  let rig: Rig;
  let fleet: ForgedFleet;
  let board: Board;
  let honest: ForgedRelease;
  let before: ModelInfo;

  /** The package with one line of its manifest changed. */
  async function altered(name: string, change: (manifest: Record<string, never>) => void): Promise<string> {
    const directory = rig.path(name);
    await cp(INT8_PACKAGE, directory, { recursive: true });
    const file = join(directory, 'manifest.yaml');
    const manifest = parse(await readFile(file, 'utf8'));
    change(manifest);
    await writeFile(file, stringify(manifest));
    return directory;
  }

  /** The first report after `from` that ends the install of `generation` (null: it bore no signature to be believed). */
  function outcome(from: number, generation: number | null) {
    const ends = (report: Reported): boolean =>
      (report.error !== null || report.phase === 'COMMITTED') &&
      (generation === null || report.generation === generation);
    return waitFor('a report that ends the install', () => fleet.reports.slice(from).find(ends), {
      timeoutMs: 60_000,
      guard: () => board.process.assertRunning(),
    });
  }

  /** `attack` returns the generation that it asks for. */
  async function expectRefusal(code: InstallErrorCode, attack: () => Promise<number>, signed = true): Promise<void> {
    const from = fleet.reports.length;
    const generation = await attack();
    const report = await outcome(from, signed ? generation : null);
    expect(report.error?.code).toBe(code);
    expect(report.phase).not.toBe('COMMITTED');
    expect(report.active?.release.digest).toBe(before.digest);
    const then = await modelInfo(board.client.base);
    expect(then.digest).toBe(before.digest);
    await waitFor(
      'the old model to go on detecting',
      async () => {
        const now = await modelInfo(board.client.base);
        return now.digest === before.digest && now.framesRun > then.framesRun + 5;
      },
      { timeoutMs: 20_000 },
    );
  }

  beforeAll(async () => {
    rig = new Rig();
    fleet = await ForgedFleet.start();
    const [httpPort] = await freePorts(1);
    const directory = rig.path('board');
    await enrollBoard(fleet.httpsUrl, fleet.token, directory, fleet.deviceId);
    board = await startBoard(rig, {
      directory,
      httpPort,
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
    });
    honest = await fleet.publish(INT8_PACKAGE);
    await waitFor('the first report', () => fleet.reports.length > 0, { timeoutMs: 30_000 });
    before = await waitFor(
      'the first frames',
      async () => {
        const now = await modelInfo(board.client.base);
        return now.framesRun > 10 && now;
      },
      { timeoutMs: 30_000 },
    );
  }, 120_000);

  afterAll(async () => {
    await rig?.close();
    await fleet?.close();
  });

  it('refuses a desired state signed by a foreign key', async () => {
    const signer = generateKeyPairSync('ed25519').privateKey;
    await expectRefusal('DESIRED_SIGNATURE_INVALID', () => fleet.desire(honest.descriptor, { signer }), false);
  });

  it('refuses a release whose targets are signed by a foreign key', async () => {
    await expectRefusal('TUF_SIGNATURE_INVALID', async () => {
      await fleet.publishTuf({ targetsSigner: newTufKey() });
      return fleet.desire(honest.descriptor);
    });
    await fleet.publishTuf();
  });

  it('refuses a release that no publisher has signed', async () => {
    const stranger: ReleaseDescriptor = { ...honest.descriptor, version: '7.7.7', digest: '7'.repeat(64) };
    await expectRefusal('TARGET_UNKNOWN', () => fleet.desire(stranger));
  });

  it('refuses a package of which one byte was changed on the way', async () => {
    const chunk = honest.chunks[honest.chunks.length >> 1];
    await fleet.corruptChunk(chunk);
    await expectRefusal('CHUNK_CORRUPT', () => fleet.desire(honest.descriptor, { retry: true }));
    await fleet.mendChunk(chunk);
  });

  it('refuses a package whose golden test fails here, and does not try it again unasked', async () => {
    const directory = await altered('golden-fails', (manifest: Record<string, unknown>) => {
      manifest.version = '8.8.8';
      const golden = manifest.golden as { detections: { label: string; score: number; box: number[] }[] }[];
      // A person where none stands.
      golden[0].detections = [{ label: 'person', score: 0.9, box: [0.01, 0.01, 0.06, 0.09] }];
    });
    const { descriptor } = await fleet.publish(directory);
    await expectRefusal('GOLDEN_MISMATCH', () => fleet.desire(descriptor));
    await expectRefusal('PREVIOUSLY_FAILED', () => fleet.desire(descriptor));
    await expectRefusal('GOLDEN_MISMATCH', () => fleet.desire(descriptor, { retry: true }));
  });

  it('installs the honest release after all that', async () => {
    const from = fleet.reports.length;
    const generation = await fleet.desire(honest.descriptor, { retry: true });
    const report = await outcome(from, generation);
    expect(report).toMatchObject({ phase: 'COMMITTED', error: null });
    expect(report.active?.release.digest).toBe(honest.descriptor.digest);
    await waitFor(
      'the new model to detect',
      async () => {
        const now = await modelInfo(board.client.base);
        return now.digest === honest.descriptor.digest && now.framesRun > 0;
      },
      { timeoutMs: 20_000 },
    );
    expect(fleet.violations).toEqual([]);
    const health = await board.client.health();
    expect(health?.detector.restarts).toBe(0);
  });
});
