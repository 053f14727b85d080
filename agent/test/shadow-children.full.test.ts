import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { scratchFolder, until } from './fleet-fixture.js';
import { endBoards, FP32, INT8, shadow, yardBoard } from './yard-board.js';

afterEach(endBoards);

describe('a shadow run beside the live model', () => {
  it('finds FP32 and INT8 of one network much alike, and loses no frame', async () => {
    const yard = await yardBoard(FP32);
    const { run } = await shadow(yard, INT8, 40);
    const { ended, agreement } = await run;
    expect([ended, agreement?.frames]).toEqual(['time', 40]);
    expect(agreement?.agreement).toBeGreaterThan(0.7);
    expect(Math.abs(agreement?.scoreDrift ?? 1)).toBeLessThan(0.1);
    expect(new Set(yard.results.map(({ digest }) => digest)).size).toBe(1);
    expect(yard.loop.drops).toEqual({});
  });

  it('outlives a candidate that is killed in the middle of it', async () => {
    const yard = await yardBoard(FP32);
    const { candidate, run } = await shadow(yard, INT8, 1000);
    const before = yard.results.length;
    await until('compared frames', () => yard.results.length > before + 20);
    process.kill(candidate.pid, 'SIGKILL');
    expect(await run).toMatchObject({ ended: 'crashed', reason: expect.stringContaining('SIGKILL') });
    const after = yard.results.length;
    await until('the live model going on', () => yard.results.length > after + 20);
    expect([yard.loop.restarts, yard.loop.drops]).toEqual([0, {}]);
  });
});

describe('a stop-swap', () => {
  it('never has two children at once, there and back', async () => {
    const { loop, factory, results } = await yardBoard(FP32);
    const live: number[] = [];
    const first = await loop.stopThenTurn(async () => {
      live.push(factory.pids.size);
      return factory.spawn(INT8, 'background');
    }, INT8);
    live.push(factory.pids.size);
    expect(first.digest).toBe(loop.active?.digest);
    await loop.turnBack();
    live.push(factory.pids.size);
    const after = results.length;
    await until('the previous model at work', () => results.length > after + 5);
    expect(results.at(-1)?.digest).toBe(results[0].digest);
    expect(live).toEqual([0, 1, 1]);
    expect(loop.directory).toBe(FP32);
  });

  it('is back on the previous model when the next one does not load', async () => {
    const { loop, factory, results } = await yardBoard(FP32);
    const nowhere = join(scratchFolder(), 'nothing-here');
    await expect(loop.stopThenTurn(() => factory.spawn(nowhere, 'background'), nowhere)).rejects.toThrow();
    expect([loop.active?.digest, loop.trialRunning]).toEqual([results[0].digest, false]);
    const after = results.length;
    await until('the previous model at work', () => results.length > after + 5);
    // The clip waits for its reader: nothing was lost. A camera's frames would have been dropped with the reason `swap`.
    expect(loop.drops).toEqual({});
  });
});
