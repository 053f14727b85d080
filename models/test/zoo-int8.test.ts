import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runGoldenFrames } from '../src/package/golden-test.js';
import { openPackageDirectory } from '../src/package/package.js';
import { decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { floatValues } from '../src/quantize/tensor-data.js';
import { quantizeCommand } from '../src/quantize-command.js';
import { loadModel } from '../src/runtime/load-model.js';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const zoo = join(repository, 'models', 'zoo');
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'vigie-zoo-int8-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const read = async (name: string) => decodeModel(await readFile(join(zoo, name, 'model.onnx')));

describe.each(['person-detector', 'person-classifier'])('%s in INT8', (network) => {
  it('is what the command in its provenance makes of the FP32 model', async () => {
    const { provenance } = (await openPackageDirectory(join(zoo, `${network}-int8`))).manifest;
    const fp32 = await readFile(join(zoo, `${network}-fp32`, 'model.onnx'));
    expect(provenance?.quantization).toContain(createHash('sha256').update(fp32).digest('hex'));
    const said = /^vigie-models quantize (.+) --out \S+/.exec(provenance?.quantization ?? '');
    // the command's paths are those of the repository
    const words = (said?.[1].split(/\s+/) ?? []).map((word) => (word.includes('/') ? join(repository, word) : word));
    const out = join(scratch, `${network}.onnx`);
    const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
    const progress = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    await quantizeCommand().parseAsync([...words, '--out', out, '--json'], { from: 'user' });
    const report = JSON.parse(String(printed.mock.calls[0][0]));
    expect(progress.mock.calls.join('')).toContain(`calibrating ${report.pictures}/${report.pictures}`);
    vi.restoreAllMocks();
    expect(report).toMatchObject({ file: out, target: 'portable', inputType: 'uint8' });

    const shipped = await readFile(join(zoo, `${network}-int8`, 'model.onnx'));
    const bytes = await readFile(out);
    if (bytes.equals(shipped)) return;
    // Weights never depend on the processor. Activation scales come from a float run, so another one may step once.
    const made = decodeModel(bytes).graph.initializer;
    const was = decodeModel(shipped).graph.initializer;
    expect(made.map(({ name }) => name)).toEqual(was.map(({ name }) => name));
    for (const [index, tensor] of was.entries()) {
      if (tensor.name?.endsWith('_weights_quantized')) {
        expect(Buffer.compare(made[index].rawData!, tensor.rawData!), tensor.name).toBe(0);
      }
      if (!tensor.name?.endsWith('_scale') || tensor.name.endsWith('_bias_scale')) continue;
      expect(Math.abs(floatValues(made[index])[0] / floatValues(tensor)[0] - 1)).toBeLessThan(0.01);
    }
  });

  it('runs as fused integer convolutions in ONNX Runtime', async () => {
    const path = join(scratch, `${network}-optimized.onnx`);
    const session = await InferenceSession.create(join(zoo, `${network}-int8`, 'model.onnx'), {
      optimizedModelFilePath: path,
      logSeverityLevel: 3,
    });
    await session.release();
    const count = (model: ReturnType<typeof decodeModel>, type: RegExp) =>
      model.graph.node.filter(({ opType }) => type.test(opType ?? '')).length;
    const [float, optimized] = [await read(`${network}-fp32`), decodeModel(await readFile(path))];
    // all but the read-outs of the head
    expect(count(optimized, /^QLinearConv$/)).toBeGreaterThanOrEqual(count(float, /^Conv$/) - 6);
    expect(count(optimized, /^QLinearAdd$/)).toBe(count(float, /^Add$/));
    expect(count(optimized, /^QuantizeLinear$/)).toBe(0);
    expect(count(optimized, /^DequantizeLinear$/)).toBeLessThanOrEqual(6);
  });

  it('fails its golden frames when one channel is lost, early or in the middle', async () => {
    const model = await read(`${network}-int8`);
    const weights = model.graph.initializer
      .map(({ name }) => name ?? '')
      .filter((name) => /_weights_quantized$/.test(name));
    const layers = { early: weights[1], middle: weights[Math.floor(weights.length / 3)] };
    for (const [where, name] of Object.entries(layers)) {
      expect(await noticed(network, name), `${where}: ${name}`).toBe(true);
    }
  });
});

/** Whether golden frames see that one of these channels, by turns, has no weights any more. */
async function noticed(network: string, name: string): Promise<boolean> {
  const directory = join(scratch, `${network}-damaged`);
  await cp(join(zoo, `${network}-int8`), directory, { recursive: true });
  const manifest = await readFile(join(directory, 'manifest.yaml'), 'utf8');
  const bytes = await readFile(join(directory, 'model.onnx'));
  const channels = Number(decodeModel(bytes).graph.initializer.find((tensor) => tensor.name === name)!.dims![0]);
  for (const share of [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) {
    const model = decodeModel(bytes);
    const tensor = model.graph.initializer.find((one) => one.name === name)!;
    const damaged = Uint8Array.from(tensor.rawData!);
    const channel = Math.floor(share * channels);
    damaged.fill(0, (channel * damaged.length) / channels, ((channel + 1) * damaged.length) / channels);
    tensor.rawData = damaged;
    const changed = encodeModel(model);
    await writeFile(join(directory, 'model.onnx'), changed);
    const [before, after] = [bytes, changed].map((each) => createHash('sha256').update(each).digest('hex'));
    await writeFile(join(directory, 'manifest.yaml'), manifest.replace(`sha256: ${before}`, `sha256: ${after}`));
    const open = await openPackageDirectory(directory);
    const loaded = await loadModel(directory, open);
    const results = await runGoldenFrames(directory, open, loaded);
    await loaded.close();
    if (results.some(({ verdict }) => !verdict.ok)) return true;
  }
  return false;
}
