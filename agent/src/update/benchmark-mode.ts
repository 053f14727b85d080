import type { BenchmarkResult, Command, ReleaseDescriptor, ReleaseReference } from '@vigie/protocol';
import type { Clock, Detector, DetectorFactory } from '../ports.js';
import { type BenchmarkInstruments, measure, pairingOf, picturesOf } from './benchmark-run.js';
import { asInstallError, InstallError } from './install-error.js';
import type { Log, PackageStore, ReadGolden } from './ports.js';
import { type BoardMemory, planInstall } from './preflight.js';
import { checkDescriptor, checkRequirements } from './release-checks.js';
import { selfTest } from './self-test.js';

export type BenchmarkOrder = Extract<Command['command'], { kind: 'benchmark' }>;

export interface BenchmarkAnswer {
  ok: boolean;
  /** BENCHMARK_NOT_A_LAB_BOARD, BENCHMARK_BUSY, BENCHMARK_TIMEOUT, or an InstallErrorCode. */
  code?: string;
  /** The BenchmarkResult, or one line that says why there is none. */
  result?: unknown;
}

export interface BenchmarkPorts extends BenchmarkInstruments {
  clock: Clock;
  log: Log;
  deviceId: string;
  /** Did this board enrol as one of the lab? */
  lab: boolean;
  /** False while an install is under way. */
  idle(): boolean;
  /** The descriptor of a release that the publisher signed, certified or not. Throws InstallError. */
  describeUncertified(release: ReleaseReference, signal: AbortSignal): Promise<ReleaseDescriptor>;
  /** A place of its own beside the slots: nothing in it ever becomes the live model. */
  packages: PackageStore;
  factory: DetectorFactory;
  readGolden: ReadGolden;
  board: { agentVersion: string; hardwareClass: string };
  readMemory?(livePid: number | null): BoardMemory;
  platform(runtime: string): BenchmarkResult['platform'];
}

/**
 * What a lab board does with a release that no gate has certified: fetch it beside the slots, test it on its golden frames,
 * time it in a child of its own, and forget it. The live model and the slots are not touched.
 */
export class BenchmarkMode {
  private running = false;

  constructor(private readonly ports: BenchmarkPorts) {}

  /** Removes what an earlier run left when it was cut off. */
  async open(): Promise<void> {
    await this.ports.packages.keepOnly([]);
  }

  /** Never throws. */
  async perform(order: BenchmarkOrder): Promise<BenchmarkAnswer> {
    const { lab, idle, log, clock } = this.ports;
    if (!lab) {
      const result = 'this board did not enrol with the role lab; enrol it again with a token of that role';
      return { ok: false, code: 'BENCHMARK_NOT_A_LAB_BOARD', result };
    }
    if (this.running || !idle()) {
      const what = this.running ? 'another benchmark' : 'an install';
      return { ok: false, code: 'BENCHMARK_BUSY', result: `${what} is under way; ask again later` };
    }
    this.running = true;
    const over = new AbortController();
    const late = new Error('late');
    const disarm = clock.after(order.timeoutSeconds * 1000, () => over.abort(late));
    const { name, version } = order.release;
    log.info({ name, version, samples: order.samples }, 'benchmark begins');
    try {
      const result = await this.run(order, over.signal);
      log.info({ name, version, fps: result.metrics.fps, throttled: result.throttled }, 'benchmark is over');
      return { ok: true, result };
    } catch (error) {
      const timedOut = over.signal.aborted;
      const { code, message } = asInstallError(error);
      log.warn({ name, version, code, err: message, timedOut }, 'benchmark failed');
      if (!timedOut) return { ok: false, code, result: message.slice(0, 500) };
      return { ok: false, code: 'BENCHMARK_TIMEOUT', result: `not done after ${order.timeoutSeconds} s` };
    } finally {
      disarm();
      await this.ports.packages.keepOnly([]).catch(() => {});
      this.running = false;
    }
  }

  private async run({ release, samples }: BenchmarkOrder, signal: AbortSignal): Promise<BenchmarkResult> {
    const { ports } = this;
    const descriptor = await ports.describeUncertified(release, signal);
    checkDescriptor(descriptor, release);
    checkRequirements(descriptor.requires, ports.board);
    await this.makeSure(descriptor, signal);
    await ports.packages.fill(descriptor, () => {}, signal, { generation: 0, issuedAt: Number.NaN, policy: {} });
    const stored = await ports.packages.verify(descriptor);
    signal.throwIfAborted();
    let detector: Detector | null = null;
    try {
      detector = await ports.factory.spawn(stored.directory, 'background', stored.open);
      const { manifest } = stored.open;
      await selfTest(detector, await ports.readGolden(stored), manifest.thresholds.default, signal);
      const pictures = await picturesOf(await ports.readGolden(stored));
      if (pictures.length === 0) throw new InstallError('PACKAGE_INVALID', 'the package has no golden frames');
      // As it would run if it were live.
      detector.promote();
      const model = stored.open.files.find(({ path }) => path === manifest.model.file);
      const subject = {
        ...{ release, samples, pairing: pairingOf(ports.deviceId, stored), modelBytes: model?.size ?? 0 },
        platform: { ...ports.platform(detector.runtime), hardwareClass: ports.board.hardwareClass },
      };
      return await measure(detector, pictures, subject, ports, signal);
    } finally {
      await detector?.close();
    }
  }

  /** Disk for it, and memory for it beside the live model: a benchmark never stops the one that watches. */
  private async makeSure(descriptor: ReleaseDescriptor, signal: AbortSignal): Promise<void> {
    const { packages, readMemory } = this.ports;
    const { missingBytes, freeBytes } = await packages.survey(descriptor, signal);
    const { memoryBytes } = descriptor.requires;
    planInstall({
      ...{ missingBytes, freeBytes, memoryBytes, lastLoadMs: null },
      packageBytes: descriptor.files.reduce((sum, { size }) => sum + size, 0),
      memory: { ...(readMemory?.(null) ?? { availableBytes: null }), liveBytes: null },
      shadow: true,
    });
  }
}
