import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseManifest } from '@vigie/models/package/manifest-file';
import { PackageError } from '@vigie/models/package/package-error';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { Board } from './board-wiring.js';
import { type Config, ConfigError } from './config.js';
import { AnnotatedStream } from './io/annotated-stream.js';
import { readBoardMemory } from './io/board-memory.js';
import { BoardSensors, hardwareClass, readHeat } from './io/board-sensors.js';
import { parseSource, SourceError } from './io/ffmpeg-arguments.js';
import { FfmpegCamera } from './io/ffmpeg-camera.js';
import { HttpServerError, refuseOpenAddress, startHttpServer } from './io/http-server.js';
import { type Identity, IdentityError, readIdentity } from './io/identity.js';
import { InferenceChildFactory } from './io/inference-child.js';
import { linuxPacer } from './io/linux-pacer.js';
import { LogRing } from './io/log-ring.js';
import { hasMemoryForSpare } from './io/spare-memory.js';
import { blinkLight } from './io/sysfs-light.js';
import { systemClock } from './io/system-clock.js';
import type { ModelFrameSpec } from './ports.js';
import type { BoardDelivery } from './update/delivery.js';
import { startUpdater } from './update-wiring.js';
import { FrameLoop } from './vision/live-detector.js';
import { DETECTION_FLOOR, TRACKER_DEFAULTS } from './vision/tracker.js';

/** Why the agent could not start; the message is one line that says what to do. `exitCode` 2: the configuration is wrong. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const AGENT_VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** The package that comes with the agent. */
const BUNDLED_PACKAGE = fileURLToPath(
  new URL('../../zoo/person-detector-fp32', import.meta.resolve('@vigie/models/package/package')),
);
/** What the camera is scaled to while no model is there to say it. */
const DEFAULT_MODEL_FRAME: ModelFrameSpec = { width: 320, height: 320, resize: 'stretch' };
const DEFAULT_THRESHOLD = TRACKER_DEFAULTS.highScore;
const LOAD_TIMEOUT_MS = 60_000;

export interface RunningAgent {
  /** Settles when a file has ended and `source.exitAtEnd` is set. */
  ended: Promise<void>;
  /** Where the HTTP server listens. */
  port: number;
  /** Ends events, camera, children and link in this order. */
  stop(): Promise<void>;
}

/** Wires and starts one board. Throws StartError. */
export async function startAgent(config: Config): Promise<RunningAgent> {
  const ring = new LogRing();
  const { log, flush } = openLog(config.log.level, ring);
  process.once('exit', flush);
  try {
    return await wire(config, log, ring);
  } catch (error) {
    throw startError(error, config);
  }
}

async function wire(config: Config, log: Logger, ring: LogRing): Promise<RunningAgent> {
  const clock = systemClock;
  const source = parseSource(config.source.url);
  // What is wrong with the configuration is said before anything starts.
  refuseOpenAddress(config.http.host, config.http.token || undefined);
  const dataDirectory = config.data.directory;
  prepareDataDirectory(dataDirectory);
  const identity = await readIdentity(dataDirectory);
  checkIdentity(config, identity);
  const stream = new AnnotatedStream({ quality: config.http.jpegQuality, maxBuffers: 2 });
  const factory = new InferenceChildFactory({
    threads: config.model.threads,
    frameTimeoutMs: config.model.timeoutSeconds * 1000,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
    floorRatio: DETECTION_FLOOR / TRACKER_DEFAULTS.highScore,
    threshold: config.detect.threshold || undefined,
    log,
    pacer: linuxPacer(log),
    mayKeepSpare: hasMemoryForSpare,
  });
  let camera: FfmpegCamera | null = null;
  const modelFrame = { ...DEFAULT_MODEL_FRAME };
  const loop = new FrameLoop({
    clock,
    factory,
    frameSize: modelFrame,
    flow:
      config.source.lossless && source.kind === 'file'
        ? { pause: () => camera?.pause(), resume: () => camera?.resume() }
        : null,
  });
  const startPackage = packageToStartWith(config, identity);
  const updater = await startUpdater({
    live: loop,
    factory,
    clock,
    dataDirectory,
    bundledPackage: startPackage,
    identity,
    log,
    agentVersion: AGENT_VERSION,
    hardwareClass: identity?.hardwareClass ?? (config.device.hardwareClass || hardwareClass()),
    readHeat: () => readHeat(),
    readMemory: (pid) => readBoardMemory(pid),
    takeSnapshot: () => stream.snapshot().catch(() => null),
    readLog: (lines) => ring.read(lines),
    blink: () => blinkLight(clock.after),
    delivery: boardDelivery(config),
  });
  await updater.start();
  // Alone there is no fleet to send another model: keep trying the one there is.
  if (loop.active === null && identity === null && startPackage !== null) await loop.start(startPackage);

  const manifest = loop.directory === null ? null : readManifest(loop.directory);
  if (manifest !== null) Object.assign(modelFrame, manifest.input);
  // Not in the trial: a turn back would change the camera twice. Until then the child resizes what it gets.
  updater.onPhase(({ phase }) => {
    if (phase !== 'COMMITTED' || loop.directory === null) return;
    try {
      camera?.useModel(replaceFields(modelFrame, readManifest(loop.directory).input));
    } catch (error) {
      log.warn({ err: (error as Error).message }, 'the camera keeps its frame size');
    }
  });
  camera = new FfmpegCamera(
    {
      source,
      realtime: config.source.pacing === 'realtime',
      loop: config.source.loop,
      lossless: config.source.lossless && source.kind === 'file',
      fps: config.camera.fps || null,
      viewWidth: config.camera.viewWidth,
      stallMs: config.camera.stallSeconds * 1000,
      model: modelFrame,
    },
    { clock, log, random: Math.random },
  );
  const started = camera;
  const pids = () => [process.pid, ...factory.pids, ...(started.pid === null ? [] : [started.pid])];
  const board = new Board({
    ...{ clock, log, camera, loop, updater, stream, modelFrame },
    sensors: new BoardSensors(pids, clock.now, dataDirectory),
    threshold: config.detect.threshold || (manifest?.thresholds.default ?? DEFAULT_THRESHOLD),
    telemetryEveryMs: config.telemetry.intervalSeconds * 1000,
    unpaced: config.source.pacing === 'unpaced' && source.kind === 'file',
  });
  const { host, port, token } = config.http;
  const stopParts = async () => {
    await started.stop();
    board.stop();
    // The updater first: an install under way must not take the loop's end for a dead candidate.
    await updater.stop();
    await loop.stop();
    await factory.close();
  };
  const http = await startHttpServer({ host, port, token: token || undefined }, board).catch(async (error: unknown) => {
    await stopParts();
    throw error;
  });
  const ended = new Promise<void>((resolve) => {
    if (config.source.exitAtEnd) board.onEnd(resolve);
  });
  board.start();
  // Nobody sends models to a board without a fleet.
  if (config.model.spare && identity !== null) factory.keepSpare();
  const fleet = identity === null ? 'stand-alone: not enrolled in a fleet' : `fleet device ${identity.deviceId}`;
  log.info({ http: `http://${host}:${http.port}/`, version: AGENT_VERSION, fleet }, 'listening');
  return {
    ended,
    port: http.port,
    async stop() {
      await stopParts();
      await http.close();
      log.info({}, 'stopped');
    },
  };
}

function boardDelivery({ delivery }: Config): BoardDelivery & { stallMs: number } {
  return {
    transport: delivery.transport,
    maxBytesPerSecond: delivery.maxKibPerSecond * 1024,
    monthlyBytes: delivery.dataBudgetMib * 1024 * 1024,
    metered: delivery.metered,
    stallMs: delivery.stallSeconds * 1000,
  };
}

/** JSON lines on stderr, written in the background: a slow terminal must not hold a frame up. */
function openLog(level: string, ring: LogRing): { log: Logger; flush(): void } {
  const stderr = destination({ dest: 2, sync: false }) as DestinationStream & { flushSync(): void };
  const flush = () => {
    try {
      stderr.flushSync();
    } catch {
      // Nobody reads the log any more.
    }
  };
  const both = {
    write(line: string) {
      ring.write(line);
      stderr.write(line);
    },
  };
  return { log: pino({ level, base: undefined }, both), flush };
}

function prepareDataDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartError(
      2,
      `data.directory: "${directory}" cannot be made (${code}); choose a folder this user may write, or --data`,
    );
  }
}

function checkIdentity({ device }: Config, identity: Identity | null): void {
  if (device.id === '' || identity === null || identity.deviceId === device.id) return;
  throw new StartError(
    2,
    `device.id: "${device.id}" is not the enrolled id "${identity.deviceId}"; leave it out, or enroll again with --force`,
  );
}

/** An enrolled board waits for its fleet unless told otherwise; one without a fleet has only what came with the agent. */
function packageToStartWith(config: Config, identity: Identity | null): string | null {
  if (config.model.directory !== '') return config.model.directory;
  return identity === null && existsSync(BUNDLED_PACKAGE) ? BUNDLED_PACKAGE : null;
}

/** Nothing of the old value stays, such as the padding of a letterbox. */
function replaceFields<T extends object>(target: T, value: T): T {
  for (const key of Object.keys(target)) delete target[key as keyof T];
  return Object.assign(target, value);
}

function readManifest(directory: string) {
  return parseManifest(readFileSync(join(directory, 'manifest.yaml'), 'utf8'));
}

/** Faults of configuration and surroundings, as one line each. */
function startError(error: unknown, config: Config): unknown {
  if (error instanceof StartError) return error;
  if (error instanceof ConfigError || error instanceof SourceError) return new StartError(2, error.message);
  if (error instanceof HttpServerError) return new StartError(error.code === 'ADDRESS_IN_USE' ? 1 : 2, error.message);
  if (error instanceof IdentityError) return new StartError(1, error.message);
  if (error instanceof PackageError) {
    return new StartError(
      2,
      `model.directory: "${config.model.directory}" is refused (${error.code}): ${error.message}`,
    );
  }
  return error;
}
