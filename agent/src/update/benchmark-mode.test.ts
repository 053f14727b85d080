import type { OpenPackage } from '@vigie/models/package/package';
import { WHOLE_FRAME } from '@vigie/models/runtime/frame';
import type { BenchmarkResult, ReleaseDescriptor } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import type { BoardHeat, Detector } from '../ports.js';
import { BenchmarkMode, type BenchmarkOrder, type BenchmarkPorts } from './benchmark-mode.js';
import { InstallError } from './install-error.js';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const file = { path: 'model.onnx', size: 0, sha256: EMPTY, chunks: [] };

describe('BenchmarkMode', () => {
  const board = async (
    over: Partial<BenchmarkPorts> = {},
    heat: BoardHeat = { temperatureC: 50, throttled: false },
  ) => {
    const { packageDigest } = await import('@vigie/models/package/digest');
    const digest = packageDigest([file]);
    const release = { name: 'm', version: '1.0.0', digest };
    const descriptor: ReleaseDescriptor = {
      ...release,
      precision: 'int8',
      labels: ['person'],
      files: [file],
      requires: {},
    };
    const told: string[] = [];
    let now = 0;
    const detector: Detector = {
      ...{ digest, name: 'm', version: '1.0.0', precision: 'int8', labels: ['person'], runtime: 'fake', pid: 7 },
      async detect() {
        now += 4;
        return { detections: [], stagesMs: { preprocess: 1, inference: 2, decode: 1 } };
      },
      promote: () => void told.push('promote'),
      close: async () => void told.push('close'),
      kill: () => {},
      onCrash: () => {},
    };
    const golden = { file: 'golden/1.jpg', detections: [] };
    const manifest = { golden: [golden], thresholds: { default: 0.5 }, model: { file: 'model.onnx' } };
    const stored = { directory: digest, open: { digest, manifest, files: [file] } as unknown as OpenPackage };
    const frame = { data: new Uint8Array(12), width: 2, height: 2 };
    const ports: BenchmarkPorts = {
      clock: { now: () => now, wall: () => 1_795_244_400_000 + now, after: () => () => {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      ...{ deviceId: 'lab-1', lab: true, idle: () => true },
      describeUncertified: async () => descriptor,
      packages: {
        open: async () => null,
        digests: async () => [],
        survey: async () => ({ missingBytes: 0, fetchBytes: 0, freeBytes: 1e12 }),
        fill: async () => void told.push('fill'),
        verify: async () => stored,
        keepOnly: async (digests) => void told.push(`keep ${digests.length}`),
      },
      factory: {
        async spawn(_directory, priority) {
          told.push(priority);
          return detector;
        },
      },
      readGolden: async () => [{ golden, frame, content: WHOLE_FRAME }] as never,
      board: { agentVersion: '1.0.0', hardwareClass: 'rpi5-8g' },
      readMemory: () => ({ availableBytes: 1e9, liveBytes: null }),
      readHeat: () => heat,
      residentBytes: () => 60e6,
      platform: (runtime) => ({ arch: 'arm64', cpu: 'x', cores: 4, node: '20', runtime, emulated: false }),
      ...over,
    };
    const order: BenchmarkOrder = { kind: 'benchmark', release, samples: 50, timeoutSeconds: 60 };
    return { mode: new BenchmarkMode(ports), order, told, detector };
  };

  it('measures what a live model would take, and leaves nothing behind', async () => {
    const { mode, order, told } = await board();
    const { ok, result } = (await mode.perform(order)) as { ok: boolean; result: BenchmarkResult };
    expect(ok).toBe(true);
    expect(result).toMatchObject({
      benchmark: 'lab',
      samples: 50,
      throttled: false,
      platform: { hardwareClass: 'rpi5-8g' },
    });
    expect(result.metrics).toMatchObject({ fps: 250, 'latencyMs.p95': 4, memoryBytes: 60e6, temperatureC: 50 });
    expect(result.series?.latencyMs).toHaveLength(50);
    expect(told).toEqual(['fill', 'background', 'promote', 'close', 'keep 0']);
  });

  it('says so when the board was hot or throttled: no gate takes times from that', async () => {
    for (const heat of [
      { temperatureC: 83, throttled: null },
      { temperatureC: 60, throttled: true },
    ]) {
      const { mode, order } = await board({}, heat);
      expect(await mode.perform(order)).toMatchObject({ ok: true, result: { throttled: true } });
    }
    const { mode, order } = await board({ readHeat: undefined });
    expect(await mode.perform(order)).toMatchObject({ ok: true, result: { throttled: false } });
  });

  it('refuses by cause, and clears up whatever happened', async () => {
    const refusal = async (over: Partial<BenchmarkPorts>) => {
      const { mode, order, told } = await board(over);
      const { ok, code } = await mode.perform(order);
      return [ok, code, told.at(-1) ?? 'nothing done'];
    };
    const failing = (code: InstallError['code']) => async () => {
      throw new InstallError(code, 'because');
    };
    expect(await refusal({ lab: false })).toEqual([false, 'BENCHMARK_NOT_A_LAB_BOARD', 'nothing done']);
    expect(await refusal({ idle: () => false })).toEqual([false, 'BENCHMARK_BUSY', 'nothing done']);
    expect(await refusal({ describeUncertified: failing('TARGET_UNKNOWN') })).toEqual([
      false,
      'TARGET_UNKNOWN',
      'keep 0',
    ]);
    expect(await refusal({ readMemory: () => ({ availableBytes: 50e6, liveBytes: 90e6 }) })).toEqual([
      ...[false, 'MEMORY_SHORT', 'keep 0'],
    ]);
    expect(await refusal({ readGolden: async () => [] })).toEqual([false, 'PACKAGE_INVALID', 'keep 0']);
    const late = {
      now: () => 0,
      wall: () => 0,
      after: (_ms: number, run: () => void) => {
        run();
        return () => {};
      },
    };
    expect(await refusal({ clock: late })).toEqual([false, 'BENCHMARK_TIMEOUT', 'keep 0']);
  });

  it('does one at a time', async () => {
    const { mode, order } = await board();
    const [first, second] = await Promise.all([mode.perform(order), mode.perform(order)]);
    expect([first.ok, second.code]).toEqual([true, 'BENCHMARK_BUSY']);
  });
});
