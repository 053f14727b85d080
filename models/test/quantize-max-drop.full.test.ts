import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inputSpecOf, readManifestBeside } from '../src/quantize/quantize-input.js';
import { type QuantizeRun, runQuantize } from '../src/quantize/quantize-run.js';

const models = fileURLToPath(new URL('..', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-max-drop-'));
  await cp(join(models, 'zoo', 'person-detector-fp32'), folder, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('--max-drop on the shipped detector', () => {
  it('keeps within the bound by agreement with the float model on held-out stills', { timeout: 300_000 }, async () => {
    const modelPath = join(folder, 'model.onnx');
    const reading = (await readManifestBeside(modelPath))!;
    const { input } = reading.manifest;
    const run: QuantizeRun = {
      ...{ modelPath, bytes: await readFile(modelPath), input: inputSpecOf(input, input, {}), reading },
      ...{ calibration: join(models, 'media', 'stills'), target: 'portable', method: 'minmax', quantile: 1 },
      ...{
        percentile: undefined,
        headroom: 1,
        floatShare: 0,
        inputType: 'auto',
        exclude: new Set(),
        measure: false,
        data: undefined,
      },
      ...{ maxDrop: 0.1, onProgress: () => {} },
    };
    const { built, drop } = await runQuantize(run);
    expect(drop).toMatchObject({ floatScore: 1, maxDrop: 0.1 });
    expect(drop!.loss).toBeLessThanOrEqual(0.1);
    expect(drop!.metric).toContain('held-out pictures');
    expect(built.report.pictures).toBe(20);
    expect(built.layers).toHaveLength(31 - drop!.backToFloat.length);
  });
});
