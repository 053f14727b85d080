import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GATE_EXIT, gateText, runGate } from './gate-command.js';
import { MissingPieceError } from './rig/repository.js';

const ORIGIN = fileURLToPath(new URL('../gates/edge-realtime.yaml', import.meta.url));

describe('vigie-bench gate', () => {
  let folder: string;
  const write = async (name: string, content: unknown) => {
    const path = join(folder, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const result = (fps: number, p95: number, digit = 'a', arch = 'arm64') => ({
    schema: 'vigie.benchmark/1',
    benchmark: 'run',
    at: '2026-11-21T07:00:00.000Z',
    release: { name: 'detector', version: '1.0.0', digest: digit.repeat(64) },
    platform: { arch, cpu: 'Cortex-A76', cores: 4, node: '20', runtime: 'ort', emulated: false },
    samples: 300,
    metrics: { fps, 'latencyMs.p95': p95 },
  });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vigie-gate-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("judges by the origin's gate: pass, fail and inconclusive", async () => {
    const verdictOf = async (...results: object[]) => {
      const paths = await Promise.all(results.map((one, index) => write(`result-${index}.json`, one)));
      return runGate({ policy: ORIGIN, results: paths });
    };
    const int8 = await verdictOf(result(12.6, 79));
    expect([int8.verdict, GATE_EXIT[int8.verdict]]).toEqual(['pass', 0]);
    const fp32 = await verdictOf(result(4.8, 206));
    expect([fp32.verdict, GATE_EXIT[fp32.verdict]]).toEqual(['fail', 1]);
    expect(gateText(fp32)).toContain('fps > 10: fps is 4.8 FPS on arm64, run, wanted > 10 FPS');
    const x86 = await verdictOf(result(90, 11, 'a', 'x64'));
    expect([x86.verdict, GATE_EXIT[x86.verdict]]).toEqual(['inconclusive', 2]);
  });

  it('refuses what cannot be meant', async () => {
    const good = await write('good.json', result(12, 50));
    const other = await write('other.json', result(12, 50, 'b'));
    const policy = await write('policy.yaml', 'schema: vigie.gate/1\nname: x\nrules: [{require: fps < 1}]\n');
    for (const options of [
      { policy: join(folder, 'none.yaml'), results: [good] },
      { policy, results: [good] },
      { policy: good, results: [good] },
      { policy: ORIGIN, results: [good, other] },
      { policy: ORIGIN, results: [await write('half.json', '{"schema":')] },
      { policy: ORIGIN, results: [await write('nan.json', { ...result(1, 1), metrics: { fps: null } })] },
    ]) {
      await expect(runGate(options)).rejects.toThrow(MissingPieceError);
    }
  });
});
