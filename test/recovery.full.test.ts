import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pause, waitFor } from '../benchmarks/src/rig/wait.js';
import { House, type PublishedRelease } from './support/house.js';
import { modelInfo } from './support/model-info.js';
import { descendants, inferenceChildren, isAlive, killHard } from './support/processes.js';

/** A small seeded generator (mulberry32): the moments of death are random, and the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('death without warning', () => {
  const house = new House();
  const random = randomNumbers(20_261_121);

  /** The board runs exactly this release, says so to the server, and goes on detecting. */
  async function expectRunning(release: PublishedRelease): Promise<void> {
    await waitFor(
      `the board to run ${release.version}`,
      async () => {
        const device = await house.server.client.device(house.deviceId);
        return device.reported?.phase === 'COMMITTED' && device.reported.active?.release.digest === release.digest;
      },
      // A trial that saw no frames because the machine was busy is tried again after a minute or two.
      { timeoutMs: 180_000, guard: () => house.board.process.assertRunning() },
    );
    const base = house.board.client.base;
    const then = await modelInfo(base);
    expect(then.digest).toBe(release.digest);
    await waitFor('frames', async () => (await modelInfo(base)).framesRun > then.framesRun + 3, { timeoutMs: 20_000 });
  }

  async function install(release: PublishedRelease): Promise<void> {
    await house.server.client.assign(house.deviceId, release.name, release.version);
    await expectRunning(release);
  }

  beforeAll(() => house.start(), 120_000);
  afterAll(() => house.close());

  it('of the inference child: the board detects again by itself and counts it', async () => {
    const { client, process: agent } = house.board;
    const before = await client.health();
    const children = inferenceChildren(agent.pid);
    expect(children.length).toBeGreaterThan(0);
    const killedAt = performance.now();
    for (const child of children) await killHard(child);
    const after = await waitFor(
      'detections to go on',
      async () => {
        const health = await client.health();
        const recovered = health && health.detector.restarts > (before?.detector.restarts ?? 0) && health.ok;
        return recovered && health.detector.framesProcessed > (before?.detector.framesProcessed ?? 0) + 5 && health;
      },
      { timeoutMs: 20_000, guard: () => agent.assertRunning() },
    );
    console.info(`inference child killed: five frames later after ${Math.round(performance.now() - killedAt)} ms`);
    expect(after.detector.restarts).toBe((before?.detector.restarts ?? 0) + 1);
    expect(after.detector.digest).toBe(before?.detector.digest);
    for (const child of children) expect(inferenceChildren(agent.pid)).not.toContain(child);
  });

  it('of the agent while it runs: the model that was installed is there again', async () => {
    await install(house.int8);
    const family = descendants(house.board.process.pid);
    expect(family.length).toBeGreaterThan(0);
    await killHard(house.board.process.pid);
    await waitFor('its ffmpeg and inference children to end too', () => !family.some(isAlive), { timeoutMs: 10_000 });
    await house.startBoard();
    // Not the fallback of its config: the release that was committed, and before the fleet says anything.
    expect((await modelInfo(house.board.client.base)).digest).toBe(house.int8.digest);
    await expectRunning(house.int8);
  });

  it('of the agent in the middle of an install: it comes back with a model and ends the install', async () => {
    for (let round = 0; round < 2; round += 1) {
      const release = round % 2 === 0 ? house.fp32 : house.int8;
      await house.server.client.assign(house.deviceId, release.name, release.version);
      await pause(random() * 1500);
      await killHard(house.board.process.pid);
      await house.startBoard();
      expect([house.fp32.digest, house.int8.digest]).toContain((await modelInfo(house.board.client.base)).digest);
      await expectRunning(release);
    }
  }, 600_000);

  it('of the server at any moment: the board goes on, and what was assigned is installed', async () => {
    for (let round = 0; round < 2; round += 1) {
      const release = round % 2 === 0 ? house.fp32 : house.int8;
      await house.server.client.assign(house.deviceId, release.name, release.version);
      await pause(random() * 800);
      await killHard(house.server.process.pid);
      const base = house.board.client.base;
      const then = await modelInfo(base);
      await waitFor(
        'the board to go on without a server',
        async () => {
          const now = await modelInfo(base);
          return now.digest !== then.digest || now.framesRun > then.framesRun + 5;
        },
        { timeoutMs: 20_000 },
      );
      await house.startServer();
      expect((await house.server.client.releases()).map(({ digest }) => digest).sort()).toEqual(
        [house.fp32.digest, house.int8.digest].sort(),
      );
      await waitFor(
        'the board to be connected again',
        async () => (await house.board.client.health())?.link.connected,
        {
          timeoutMs: 60_000,
        },
      );
      await expectRunning(release);
    }
  }, 600_000);

  it('leaves no inference child behind', () => {
    // One detects, one is the spare.
    expect(inferenceChildren(house.board.process.pid)).toHaveLength(2);
  });
});
