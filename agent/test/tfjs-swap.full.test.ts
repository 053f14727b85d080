import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InferenceChildFactory } from '../src/io/inference-child.js';
import { type Board, startBoard } from './board-fixture.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const ONNX = at('../../models/zoo/person-detector-fp32');

let broker: TestBroker;
let board: Board | undefined;

beforeEach(async () => {
  broker = await TestBroker.start();
});

afterEach(async () => {
  await board?.stop();
  await broker.close();
});

test('a board goes from ONNX Runtime to TensorFlow.js and back, and says so', async () => {
  const converted = join(scratchFolder(), 'tfjs');
  const args = ['convert', join(ONNX, 'model.onnx'), '--to', 'tfjs', '--out', converted];
  await promisify(execFile)(process.execPath, [at('../../models/dist/cli.js'), ...args]);
  const bundled = join(scratchFolder(), 'onnx');
  cpSync(ONNX, bundled, { recursive: true });

  const fleet = new TestFleet(broker);
  const factory = new InferenceChildFactory({
    threads: 1,
    frameTimeoutMs: 10_000,
    loadTimeoutMs: 60_000,
    floorRatio: 1,
    log: { debug() {}, warn() {} },
    entry: at('../dist/io/inference-main.js'),
  });
  board = await startBoard({ identity: fleet.identity, bundled, factory });
  const { live, updater } = board;
  await until('live results', () => (updater.status().active?.framesRun ?? 0) > 20);
  expect(live.active?.runtime).toMatch(/^onnxruntime-node/);

  // WebAssembly is slower than ONNX Runtime; here the exchange is looked at, not the speed.
  const trial = { minFrames: 10, compareEvery: 2, deadlineMs: 60_000, maxLatencyRatio: 100 };
  const releases = [await fleet.publish(converted), await fleet.publish(bundled)];
  const runtimes = [/^tfjs-/, /^onnxruntime-node/];
  for (const [index, release] of releases.entries()) {
    await fleet.assign(release, index + 1, { trial });
    const reported = await until(
      `the end of generation ${index + 1}`,
      () =>
        fleet.reports.findLast(
          ({ generation, phase }) => generation === index + 1 && ['COMMITTED', 'ROLLED_BACK', 'FAILED'].includes(phase),
        ),
      90_000,
    );
    expect(reported.error).toBeNull();
    expect(reported).toMatchObject({ phase: 'COMMITTED', swap: { durationMs: expect.any(Number) } });
    expect(live.active?.runtime).toMatch(runtimes[index]);
  }
}, 240_000);
