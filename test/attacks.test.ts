import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstallErrorCode, Reported } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Board, enrollBoard, startBoard } from '../benchmarks/src/rig/board.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';
import { ForgedFleet, type ForgedRelease } from './support/forged-fleet.js';
import type { TufLie } from './support/forged-tuf.js';
import { type ModelInfo, modelInfo } from './support/model-info.js';
import { newTufKey } from './support/tuf-forge.js';

interface Attack {
  name: string;
  code: InstallErrorCode;
  prepare?(): Promise<void>;
  /**
   * Tells the lie and asks for a release; returns the generation that the board will answer to, null when it must not
   * believe the desired state at all.
   */
  attack(): Promise<number | null>;
  /** Takes the lie back. */
  mend?(): Promise<void>;
}

const HOUR = 3_600_000;

/**
 * A real board with a running model is offered bad releases by a fleet in the test's hands. Each attack has a code of
 * its own, the old model stays and goes on detecting, and the honest release installs afterwards: so the refusals were
 * about the attacks.
 */
describe('a board that is attacked', () => {
  let rig: Rig;
  let fleet: ForgedFleet;
  let board: Board;
  let honest: ForgedRelease;
  let before: ModelInfo;

  /** The INT8 package with one thing of its manifest changed. */
  async function altered(name: string, change: (manifest: Record<string, unknown>) => void): Promise<string> {
    const directory = rig.path(name);
    await cp(INT8_PACKAGE, directory, { recursive: true });
    const file = join(directory, 'manifest.yaml');
    const manifest = parse(await readFile(file, 'utf8'));
    change(manifest);
    await writeFile(file, stringify(manifest));
    return directory;
  }

  /** Where the next report begins: the board sends earlier ones again until somebody acknowledges them. */
  const newest = (): number => Math.max(0, ...fleet.reports.map(({ sequence }) => sequence));

  /** The first report after `from` that refuses or ends an install; `generation` null: it answers to none. */
  function outcome(from: number, generation: number | null) {
    const ends = (report: Reported): boolean =>
      report.sequence > from &&
      (report.error !== null || report.phase === 'COMMITTED') &&
      (generation === null || report.generation === generation);
    return waitFor('a report that ends the install', () => fleet.reports.find(ends), {
      timeoutMs: 60_000,
      guard: () => board.process.assertRunning(),
    });
  }

  /** Withdraws what was asked for, so that nothing of one attack is left for the next. */
  async function calm(): Promise<void> {
    const generation = await fleet.desire(null);
    await waitFor(
      'a board that wants nothing',
      () => fleet.reports.some((report) => report.generation === generation && report.error === null),
      { timeoutMs: 30_000, guard: () => board.process.assertRunning() },
    );
  }

  async function expectRefusal({ code, attack }: Pick<Attack, 'code' | 'attack'>): Promise<void> {
    const from = newest();
    const report = await outcome(from, await attack());
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

  const install = () => fleet.desire(honest.descriptor, { retry: true });
  const lie = (what: TufLie) => async () => {
    await fleet.publishTuf(what);
    return install();
  };
  const unanswered = async (options: Parameters<ForgedFleet['desire']>[1]) => {
    await fleet.desire(honest.descriptor, options);
    return null;
  };
  /** The middle chunk, and another one of the same package. */
  const chunks = (): [string, string] => {
    const middle = honest.chunks[honest.chunks.length >> 1];
    return [middle, honest.chunks.find((other) => other !== middle) as string];
  };

  let revokedSigner: KeyObject | undefined;

  const ATTACKS: Attack[] = [
    {
      name: 'an arbitrary package: no publisher has signed it',
      code: 'TARGET_UNKNOWN',
      attack: () => fleet.desire({ ...honest.descriptor, version: '7.7.7', digest: '7'.repeat(64) }),
    },
    {
      name: 'an arbitrary package under the name of a signed one',
      code: 'DIGEST_MISMATCH',
      attack: () => fleet.desire({ ...honest.descriptor, digest: '7'.repeat(64) }),
    },
    {
      name: 'a rollback: the metadata of an hour ago',
      code: 'TUF_ROLLBACK',
      async attack() {
        await fleet.publishTuf();
        // The board takes the newer one first.
        const from = newest();
        const taken = await outcome(from, await fleet.desire({ ...honest.descriptor, version: '7.7.7' }));
        expect(taken.error?.code).toBe('TARGET_UNKNOWN');
        await fleet.publishTuf({ asInVersion: fleet.tuf.version - 1 });
        return install();
      },
    },
    {
      name: 'a freeze: the timestamp has expired',
      code: 'TUF_EXPIRED',
      attack: lie({ timestampExpires: `${new Date(Date.now() - HOUR).toISOString().slice(0, 19)}Z` }),
    },
    { name: 'a mix-and-match: new metadata with old targets', code: 'TUF_MISMATCH', attack: lie({ oldTargets: true }) },
    {
      name: 'a desired state that was signed for another device',
      code: 'DESIRED_WRONG_DEVICE',
      attack: () => unanswered({ deviceId: 'another-board' }),
    },
    {
      name: 'a desired state of an older generation',
      code: 'DESIRED_STALE_GENERATION',
      attack: () => unanswered({ generation: 1 }),
    },
    { name: 'endless data: a timestamp of 100 KB', code: 'TUF_TOO_LARGE', attack: lie({ timestampBytes: 100_000 }) },
    {
      name: 'endless data: a message over the limit of the wire',
      code: 'TUF_TOO_LARGE',
      attack: lie({ timestampBytes: 1_000_000 }),
    },
    {
      name: 'a wrong key under the desired state',
      code: 'DESIRED_SIGNATURE_INVALID',
      attack: () => unanswered({ signer: generateKeyPairSync('ed25519').privateKey }),
    },
    {
      name: 'a wrong key under the targets',
      code: 'TUF_SIGNATURE_INVALID',
      attack: lie({ targetsSigner: newTufKey() }),
    },
    {
      name: 'a revoked key under the timestamp',
      code: 'TUF_KEY_REVOKED',
      async attack() {
        const timestampSigner = fleet.tuf.rotate('timestamp');
        await fleet.publishTuf({ timestampSigner });
        return install();
      },
    },
    {
      name: 'a revoked key under the desired state',
      code: 'DESIRED_KEY_REVOKED',
      async prepare() {
        revokedSigner = await fleet.replaceDesiredKey();
        // Signed by the new key, which the board learns of from metadata.
        await calm();
      },
      attack: () => unanswered({ signer: revokedSigner }),
    },
    {
      name: 'a target that is not certified for this class',
      code: 'NOT_CERTIFIED',
      async attack() {
        await fleet.publish(INT8_PACKAGE, ['rpi5-8g', 'rpi4-2g']);
        return install();
      },
      mend: async () => void (await fleet.publish(INT8_PACKAGE)),
    },
    {
      name: 'a target that the publisher certified himself',
      code: 'NOT_CERTIFIED',
      async attack() {
        await fleet.uncertify(honest.descriptor.digest, true);
        return install();
      },
      async mend() {
        await fleet.uncertify(honest.descriptor.digest, false);
        await fleet.publish(INT8_PACKAGE);
      },
    },
    {
      name: 'a chunk swapped for another true one',
      code: 'CHUNK_CORRUPT',
      async attack() {
        await fleet.swapChunk(...chunks());
        return install();
      },
      mend: () => fleet.mendChunk(chunks()[0]),
    },
    {
      name: 'a chunk of which one byte was changed',
      code: 'CHUNK_CORRUPT',
      async attack() {
        await fleet.corruptChunk(chunks()[0]);
        return install();
      },
      mend: () => fleet.mendChunk(chunks()[0]),
    },
  ];

  it.each(ATTACKS.map((row) => [row.name, row.code, row] as const))(
    'refuses %s: %s',
    async (_name, _code, row) => {
      await row.prepare?.();
      await expectRefusal(row);
      await calm();
      await row.mend?.();
      await fleet.publishTuf();
    },
    120_000,
  );

  it('refuses a package whose golden test fails here, and does not try it again unasked', async () => {
    const directory = await altered('golden-fails', (manifest) => {
      manifest.version = '8.8.8';
      const golden = manifest.golden as { detections: { label: string; score: number; box: number[] }[] }[];
      // A person where none stands.
      golden[0].detections = [{ label: 'person', score: 0.9, box: [0.01, 0.01, 0.06, 0.09] }];
    });
    const { descriptor } = await fleet.publish(directory);
    await expectRefusal({ code: 'GOLDEN_MISMATCH', attack: () => fleet.desire(descriptor) });
    await expectRefusal({ code: 'PREVIOUSLY_FAILED', attack: () => fleet.desire(descriptor) });
    await expectRefusal({ code: 'GOLDEN_MISMATCH', attack: () => fleet.desire(descriptor, { retry: true }) });
  });

  it('installs the honest release after all that', async () => {
    const from = newest();
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
