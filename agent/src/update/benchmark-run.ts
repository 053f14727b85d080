import { type BenchmarkResult, MAX_SERIES_SAMPLES, percentile, type ReleaseReference } from '@vigie/protocol';
import type { BoardHeat, Clock, Detector } from '../ports.js';
import type { GoldenPicture, StoredPackage } from './ports.js';

/** Frames before the first that counts. */
const WARM_UP = 20;
/** Golden frames that are held decoded; more only take memory. */
const MOST_PICTURES = 8;
/** The board's sensors are read every so many frames. */
const HEAT_EVERY = 25;
/** From here on a board slows down: its times say nothing about the model, degrees Celsius. */
const HOT_C = 80;

export interface BenchmarkSubject {
  release: ReleaseReference;
  samples: number;
  platform: BenchmarkResult['platform'];
  /** What the samples were taken on. */
  pairing: string;
  modelBytes: number;
}

export interface BenchmarkInstruments {
  clock: Clock;
  /** Absent: a board without sensors. */
  readHeat?(): BoardHeat;
  /** Resident memory of a process, bytes; null: not known. */
  residentBytes(pid: number): number | null;
}

/** The first golden frames of a package, decoded. */
export async function picturesOf(
  pictures: AsyncIterable<GoldenPicture> | Iterable<GoldenPicture>,
): Promise<GoldenPicture[]> {
  const held: GoldenPicture[] = [];
  for await (const picture of pictures) {
    held.push(picture);
    if (held.length === MOST_PICTURES) break;
  }
  return held;
}

/** Names what is measured on, so that only results of the same frames on the same board are held against each other. */
export function pairingOf(deviceId: string, { open }: StoredPackage): string {
  const golden = new Set(open.manifest.golden.slice(0, MOST_PICTURES).map(({ file }) => file));
  const files = open.files.filter(({ path }) => golden.has(path)).map(({ sha256 }) => sha256.slice(0, 8));
  return `lab-${deviceId}-${files.sort().join('')}`.slice(0, 128);
}

/**
 * Times a loaded model on the golden frames in turn, by the way that live frames take: to the child, through it, and back.
 * The live model goes on beside it, so the figures are those of a board at work. A board that was hot or throttled at any
 * time says so in the result, and gates take no times from it. Throws what the detector throws, and the signal's reason.
 */
export async function measure(
  detector: Detector,
  pictures: readonly GoldenPicture[],
  subject: BenchmarkSubject,
  { clock, readHeat, residentBytes }: BenchmarkInstruments,
  signal: AbortSignal,
): Promise<BenchmarkResult> {
  const latencies: number[] = [];
  const inference: number[] = [];
  const heats: BoardHeat[] = [];
  const feel = () => {
    const heat = readHeat?.();
    if (heat !== undefined) heats.push(heat);
  };
  let begun = clock.now();
  for (let run = 0; run < WARM_UP + subject.samples; run += 1) {
    signal.throwIfAborted();
    if (run === WARM_UP) begun = clock.now();
    if (run % HEAT_EVERY === 0) feel();
    const { frame, content } = pictures[run % pictures.length];
    const from = clock.now();
    const { stagesMs } = await detector.detect(frame.data, frame.width, frame.height, content);
    if (run < WARM_UP) continue;
    latencies.push(round(clock.now() - from));
    inference.push(stagesMs.inference);
  }
  const wallMs = clock.now() - begun;
  feel();
  const temperatures = heats.flatMap(({ temperatureC }) => (temperatureC === null ? [] : [temperatureC]));
  const hottest = temperatures.length === 0 ? null : Math.max(...temperatures);
  const memoryBytes = residentBytes(detector.pid);
  return {
    schema: 'vigie.benchmark/1',
    benchmark: 'lab',
    at: new Date(clock.wall()).toISOString(),
    release: subject.release,
    platform: subject.platform,
    samples: subject.samples,
    metrics: {
      fps: round((subject.samples * 1000) / Math.max(wallMs, 0.001)),
      ...spread('latencyMs', latencies),
      ...spread('latencyMs.inference', inference),
      modelBytes: subject.modelBytes,
      ...(memoryBytes === null ? {} : { memoryBytes }),
      ...(hottest === null ? {} : { temperatureC: hottest }),
    },
    series: { latencyMs: latencies.slice(0, MAX_SERIES_SAMPLES) },
    pairing: subject.pairing,
    throttled: heats.some((heat) => heat.throttled === true) || (hottest !== null && hottest >= HOT_C),
  };
}

function spread(name: string, samples: readonly number[]): Record<string, number> {
  return {
    [`${name}.p50`]: round(percentile(samples, 0.5)),
    [`${name}.p95`]: round(percentile(samples, 0.95)),
    [`${name}.p99`]: round(percentile(samples, 0.99)),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
