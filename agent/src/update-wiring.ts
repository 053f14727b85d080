import { randomUUID } from 'node:crypto';
import { openPackageDirectory } from '@vigie/models/package/package';
import { PackageError } from '@vigie/models/package/package-error';
import type { DeviceConfiguration, Event, Telemetry } from '@vigie/protocol';
import { wireBenchmark } from './benchmark-wiring.js';
import { ChunkDelivery } from './io/delivery/chunk-delivery.js';
import type { HttpOpen } from './io/delivery/http-open.js';
import { HttpsChunkTransport } from './io/delivery/https-chunk-transport.js';
import { MqttChunkTransport } from './io/delivery/mqtt-chunk-transport.js';
import type { FileSystem } from './io/file-system.js';
import { FleetConnection, type FleetConnectionOptions } from './io/fleet-connection.js';
import { readGolden } from './io/golden-reader.js';
import type { Identity } from './io/identity.js';
import { InstallJournal } from './io/install-journal.js';
import { SlotStore } from './io/slot-store.js';
import type { BoardHeat, Clock, DetectorFactory, LiveDetector } from './ports.js';
import { type JudgedConfiguration, judgeConfiguration, NO_CONFIGURATION } from './update/configuration.js';
import { UpdateCoordinator } from './update/coordinator.js';
import type { BoardDelivery } from './update/delivery.js';
import { referenceOf, startInitialModel, stateAfterStart } from './update/initial-model.js';
import { LiveHistory } from './update/live-history.js';
import type { Log, StoredPackage } from './update/ports.js';
import type { BoardMemory } from './update/preflight.js';
import { RunningModels } from './update/running-model.js';
import type { UpdateStatus } from './update/status.js';

export interface UpdaterDependencies {
  live: LiveDetector;
  factory: DetectorFactory;
  clock: Clock;
  dataDirectory: string;
  /** Folder of the unpacked package that came with the agent; null: none. */
  bundledPackage: string | null;
  /** Null: stand-alone, without a fleet. */
  identity: Identity | null;
  log: Log;
  agentVersion: string;
  hardwareClass: string;
  /** What the board's configuration says of downloads; absent: anything goes. */
  delivery?: BoardDelivery & { stallMs: number };
  /** Score below which detections are not compared in a trial; the candidate's default threshold when absent. */
  detectionFloor?: number;
  /** Absent: a board without sensors. */
  readHeat?(): BoardHeat;
  /** Of the board, and of the child with this process id; absent: memory is not planned. */
  readMemory?(livePid: number | null): BoardMemory;
  /** The disk of everything that must survive a power cut; the machine's when absent. */
  files?: FileSystem;
  /** 0 (inclusive) to 1 (exclusive). */
  random?(): number;
  /** What the command `snapshot` sends: the newest picture as JPEG; null when there is none. */
  takeSnapshot?(): Promise<Uint8Array | null>;
  /** What the command `logs` sends: the newest lines, oldest first. */
  readLog?(lines: number): string[];
  /** What the command `identify` does besides a line in the log; the name of the light that blinks, null when there is none. */
  blink?(): Promise<string | null>;
  /** Patience of the TUF client and the chunk fetcher per message, and of retries, ms; for tests. */
  timing?: { messageMs?: number; retryMs?: { first: number; longest: number }; resendMs?: number };
  /** For tests: what the system says of its clock. */
  trust?: FleetConnectionOptions['trust'];
}

export type UpdaterStatus = UpdateStatus & {
  connected: boolean;
  bootId: string;
  outbox: { pending: number; dropped: number };
};

export interface Updater {
  /** Starts the model of the best slot, then takes orders. Resolves once the initial model was started (or none could be). */
  start(): Promise<void>;
  status(): UpdaterStatus;
  /** Journaled, then sent until the server has it. */
  publishEvent(draft: Omit<Event, 'bootId' | 'sequence'>): void;
  /** Sent if there is a connection, else forgotten. */
  publishTelemetry(draft: Omit<Telemetry, 'bootId' | 'sequence'>): void;
  /** The best picture of an event. Resolves false without a connection. */
  publishSnapshot(eventId: string, jpeg: Uint8Array): Promise<boolean>;
  /** Calls back with what to look for (null: everything), now and at each change. */
  onConfiguration(listener: (configuration: DeviceConfiguration | null) => void): () => void;
  /** Calls back at each change of phase, error or model. */
  onPhase(listener: (status: UpdateStatus) => void): () => void;
  stop(): Promise<void>;
}

/** Wires the update path of one board: identity, link, TUF, slots, journal, outbox. Nothing runs before `start`. */
export async function startUpdater(dependencies: UpdaterDependencies): Promise<Updater> {
  const { live, clock, dataDirectory, identity, log, timing = {} } = dependencies;
  const bootId = randomUUID();
  const journal = new InstallJournal(dataDirectory, dependencies.files);
  const loaded = await journal.load();
  if (loaded.found === 'damaged') {
    log.error(
      { detail: loaded.detail },
      'state.json was damaged and set aside; slots are filled anew from what the disk holds',
    );
  }
  const running = new RunningModels(
    () => clock.wall(),
    () => live.active !== null,
  );
  const history = new LiveHistory();
  const phaseListeners = new Set<(status: UpdateStatus) => void>();
  const fleet =
    identity === null
      ? null
      : new FleetConnection({
          ...dependencies,
          identity,
          bootId,
          messageTimeoutMs: timing.messageMs,
          resendMs: timing.resendMs,
          diskRetryMs: timing.retryMs?.longest,
        });
  const delivery = fleet === null ? null : deliveryOf(dependencies, fleet);
  const slots = new SlotStore({
    disk: dependencies.files,
    dataDirectory,
    bundledDirectory: dependencies.bundledPackage,
    delivery,
  });
  const bundled = await openBundled(dependencies);
  const cleanups: (() => void)[] = [];
  let coordinator: UpdateCoordinator | null = null;
  let lastStatus: UpdateStatus | null = null;
  let stopped = false;
  let initialLoadMs: number | null = null;

  const present = (): UpdateStatus =>
    coordinator?.status ?? { ...IDLE, active: running.current, previous: loaded.state.previous };

  let configured: JudgedConfiguration = NO_CONFIGURATION;
  const configurationListeners = new Set<(configuration: DeviceConfiguration | null) => void>();

  const withDelivery = (status: UpdateStatus): UpdateStatus => {
    const figures = delivery?.figures(status.generation) ?? null;
    const { reported } = configured;
    return {
      ...status,
      ...(figures === null ? {} : { delivery: figures }),
      ...(reported === null ? {} : { configuration: reported }),
    };
  };

  const wanted = (): DeviceConfiguration | null =>
    (coordinator === null ? loaded.state.desired?.configuration : coordinator.configuration) ?? null;

  /** What is wanted may have changed, or the labels of what runs. */
  const judge = (): void => {
    const before = configured.inForce;
    configured = judgeConfiguration(wanted(), live.active?.labels ?? null, configured);
    if (configured.inForce === before) return;
    for (const listener of configurationListeners) listener(configured.inForce);
  };

  const onChange = (status: UpdateStatus, terminal: boolean): void => {
    lastStatus = status;
    judge();
    fleet?.report(withDelivery(status), terminal);
    for (const listener of phaseListeners) listener(status);
  };

  async function startInitial(): Promise<StoredPackage | null> {
    const started = await startInitialModel({
      loaded,
      slots,
      bundled,
      live,
      factory: dependencies.factory,
      clock,
      log,
    });
    if (started === null) return null;
    initialLoadMs = started.loadMs;
    running.begin(referenceOf(started.stored));
    return started.stored;
  }

  function coordinate(started: StoredPackage | null): UpdateCoordinator | null {
    if (fleet === null) return null;
    const { releases, trustedKeys } = fleet;
    return new UpdateCoordinator({
      ports: {
        clock,
        live,
        factory: dependencies.factory,
        releases,
        packages: slots,
        bundled,
        readGolden,
        history,
        board: { agentVersion: dependencies.agentVersion, hardwareClass: dependencies.hardwareClass },
        readHeat: dependencies.readHeat,
        readMemory: dependencies.readMemory,
        scoreFloor: dependencies.detectionFloor ?? null,
        initialLoadMs,
      },
      running,
      store: journal,
      state: stateAfterStart(loaded.state, started, bundled),
      log,
      deviceId: fleet.deviceId,
      trustedKeys,
      bundled: bundled === null || started === null ? null : referenceOf(bundled),
      random: dependencies.random ?? Math.random,
      retryMs: timing.retryMs,
      onChange,
    });
  }

  return {
    async start() {
      cleanups.push(
        live.onResult((result) => {
          history.add(result);
          running.add(result);
        }),
      );
      const started = await startInitial();
      if (stopped) return;
      // Before the fleet can be reached: what was wanted last counts.
      if (fleet !== null) judge();
      coordinator = coordinate(started);
      if (fleet === null || coordinator === null) return;
      const taker = coordinator;
      const benchmark = wireBenchmark(
        dependencies,
        fleet,
        (folder) => deliveryOf({ ...dependencies, dataDirectory: folder }, fleet),
        () => taker.status.phase,
      );
      await benchmark.open().catch((error: Error) => log.warn({ err: error.message }, 'benchmark folder not cleared'));
      await fleet.start({
        desired: (bytes) => taker.offer(bytes),
        connected: () => taker.wake(),
        benchmark: (order) => benchmark.perform(order),
        status: () => withDelivery(taker.status),
        get newestIssuedAt() {
          return taker.newestIssuedAt;
        },
      });
      onChange(taker.status, true);
      taker.begin();
    },
    status: () => ({
      ...present(),
      connected: fleet?.link.connected ?? false,
      bootId,
      outbox: { pending: fleet?.outbox.size ?? 0, dropped: fleet?.outbox.dropped ?? 0 },
    }),
    publishEvent: (draft) => fleet?.put('events', draft),
    publishTelemetry: (draft) => fleet?.telemetry(draft),
    publishSnapshot: async (eventId, jpeg) => (await fleet?.snapshot(eventId, jpeg)) ?? false,
    onPhase(listener) {
      phaseListeners.add(listener);
      if (lastStatus !== null) listener(lastStatus);
      return () => phaseListeners.delete(listener);
    },
    onConfiguration(listener) {
      configurationListeners.add(listener);
      listener(configured.inForce);
      return () => configurationListeners.delete(listener);
    },
    async stop() {
      stopped = true;
      for (const cleanup of cleanups) cleanup();
      await coordinator?.stop();
      await fleet?.close();
    },
  };
}

/** Both ways by which chunks come, under the board's own rules. */
function deliveryOf(
  { delivery, identity, clock, dataDirectory, log, timing, files }: UpdaterDependencies,
  fleet: FleetConnection,
) {
  const common = { clock, random: Math.random, quietMs: timing?.messageMs ?? delivery?.stallMs };
  const open: HttpOpen = (url, options) => fleet.https.open(url, options);
  return new ChunkDelivery({
    deviceId: fleet.deviceId,
    dataDirectory,
    board: delivery ?? UNRESTRICTED,
    transports: [
      new MqttChunkTransport({ link: fleet.link, ...common }),
      new HttpsChunkTransport({ open, baseUrl: (identity as Identity).https.url, ...common }),
    ],
    clock,
    now: () => fleet.trustedNow().ms,
    log,
    disk: files,
  });
}

const UNRESTRICTED = { transport: 'auto', maxBytesPerSecond: 0, monthlyBytes: 0, metered: false } as const;

const IDLE = {
  generation: 0,
  phase: 'IDLE',
  error: null,
  candidate: null,
  swap: null,
  progress: null,
} as const;

/** Stand-alone there is nothing else to run, so a broken package ends the start; a fleet may send another. */
async function openBundled({ bundledPackage, identity, log }: UpdaterDependencies): Promise<StoredPackage | null> {
  if (bundledPackage === null) return null;
  try {
    return { directory: bundledPackage, open: await openPackageDirectory(bundledPackage) };
  } catch (error) {
    if (identity === null) throw error;
    log.error(
      {
        directory: bundledPackage,
        code: error instanceof PackageError ? error.code : undefined,
        err: (error as Error).message,
      },
      'the bundled package is passed over',
    );
    return null;
  }
}
