import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runChaos } from '../benchmarks/src/chaos/chaos.js';

const parent = mkdtempSync(join(tmpdir(), 'vigie-chaos-test-'));
afterAll(() => rmSync(parent, { recursive: true, force: true }));

const options = {
  ...{ seed: 20_261_121, boards: 3, fps: 5, blindMs: 60_000, data: join(parent, 'run') },
  onProgress: (line: string) => console.log(line),
};

it('a small chaos run, gone on with once: no board blind, no slot corrupt, no event lost', async () => {
  const first = await runChaos({ ...options, kills: 20, resume: false });
  expect(first.summary.findings).toEqual([]);
  const { summary, complete } = await runChaos({ ...options, kills: 40, resume: true });
  console.log(JSON.stringify(summary));
  expect(complete).toBe(true);
  expect(summary.findings).toEqual([]);
  expect(summary.ok).toBe(true);
  expect(summary.invocations).toBe(2);
  expect(summary.kills.total).toBe(40);
  for (const victim of ['agent', 'child', 'server']) expect(summary.kills[victim], victim).toBeGreaterThan(0);
  expect(summary.events.journaled).toBeGreaterThan(0);
  expect(summary.events.acknowledged).toBeGreaterThan(0);
  expect(summary.updates.converged).toBeGreaterThan(0);
}, 900_000);
