import type { InstallPhase, ReleaseReference, SwapReport, TrialPolicy } from '@vigie/protocol';
import type { Clock, Detector, DetectorFactory, LiveDetector } from '../ports.js';
import { asInstallError, InstallError } from './install-error.js';
import type { LiveHistory } from './live-history.js';
import type { PackageStore, ReadGolden, ReleaseSource, StoredPackage } from './ports.js';
import { checkDescriptor, checkRequirements, checkRoom } from './release-checks.js';
import { selfTest } from './self-test.js';
import { runTrial } from './trial-run.js';

export interface InstallPorts {
  clock: Clock;
  live: LiveDetector;
  factory: DetectorFactory;
  releases: ReleaseSource;
  packages: PackageStore;
  readGolden: ReadGolden;
  history: LiveHistory;
  board: { agentVersion: string; hardwareClass: string };
}

export interface InstallRequest {
  release: ReleaseReference;
  policy: TrialPolicy;
  /** When the desired state arrived, monotonic ms. */
  assignedAt: number;
  /** Detections below this score are not compared in the trial; null: below the package's own default threshold. */
  scoreFloor: number | null;
}

/** What the installer tells as it goes; `enter` returns once the journal holds the phase. */
export interface InstallObserver {
  enter(phase: InstallPhase, changes?: { swap?: SwapReport }): Promise<void>;
  progress(bytes: number, totalBytes: number): void;
  /** The candidate had its first live result: it is active. */
  firstResult(at: number): void;
}

export type InstallOutcome =
  | { kind: 'committed' }
  | { kind: 'failed'; phase: 'FAILED' | 'ROLLED_BACK'; error: InstallError; swap: SwapReport | null }
  | { kind: 'aborted' };

/**
 * One install from offer to commit. The live model keeps running until the pointer turns, and is warm until the commit.
 * Never throws: a fault becomes an outcome. An aborted install leaves what it fetched for the next one.
 */
export async function runInstall(
  ports: InstallPorts,
  request: InstallRequest,
  observer: InstallObserver,
  signal: AbortSignal,
): Promise<InstallOutcome> {
  let candidate: Detector | null = null;
  try {
    const stored = await obtain(ports, request, observer, signal);
    await observer.enter('SELF_TEST');
    ports.history.openWindow();
    candidate = await load(ports, stored, signal);
    const turned = candidate;
    candidate = null;
    return await tryLive(ports, request, observer, signal, turned, stored);
  } catch (error) {
    await candidate?.close().catch(() => {});
    if (signal.aborted) return { kind: 'aborted' };
    return { kind: 'failed', phase: 'FAILED', error: asInstallError(error), swap: null };
  }
}

/** Brings the package to the disk, checked: PREFLIGHT to STAGED. */
async function obtain(
  ports: InstallPorts,
  { release }: InstallRequest,
  observer: InstallObserver,
  signal: AbortSignal,
): Promise<StoredPackage> {
  await observer.enter('PREFLIGHT');
  const descriptor = await ports.releases.describe(release, signal);
  checkDescriptor(descriptor, release);
  checkRequirements(descriptor.requires, ports.board);
  const { missingBytes, freeBytes } = await ports.packages.survey(descriptor, signal);
  checkRoom(missingBytes, freeBytes);
  signal.throwIfAborted();
  await observer.enter('DOWNLOADING');
  await ports.packages.fill(descriptor, (bytes, total) => observer.progress(bytes, total), signal);
  signal.throwIfAborted();
  await observer.enter('VERIFYING');
  const stored = await ports.packages.verify(descriptor);
  signal.throwIfAborted();
  await observer.enter('STAGED');
  return stored;
}

/** Loads the model in a background child while its golden frames are decoded, and tests it. Closes the child on failure. */
async function load(ports: InstallPorts, stored: StoredPackage, signal: AbortSignal): Promise<Detector> {
  const spawning = ports.factory.spawn(stored.directory, 'background', stored.open).catch((error: Error) => {
    throw new InstallError('MODEL_LOAD_FAILED', error.message, { cause: error });
  });
  const [detector, pictures] = await Promise.allSettled([spawning, ports.readGolden(stored)]);
  if (detector.status === 'rejected') throw detector.reason;
  try {
    if (pictures.status === 'rejected') throw pictures.reason;
    await selfTest(detector.value, pictures.value, stored.open.manifest.thresholds.default, signal);
    return detector.value;
  } catch (error) {
    await detector.value.close().catch(() => {});
    throw error;
  }
}

/** TRIAL: turns the pointer, judges, then commits or turns back. Takes over the candidate's child. */
async function tryLive(
  ports: InstallPorts,
  request: InstallRequest,
  observer: InstallObserver,
  signal: AbortSignal,
  candidate: Detector,
  stored: StoredPackage,
): Promise<InstallOutcome> {
  const { live, history } = ports;
  const { policy } = request;
  const previous = live.active;
  try {
    await observer.enter('TRIAL');
    signal.throwIfAborted();
  } catch (error) {
    await candidate.close().catch(() => {});
    throw error;
  }
  const trial = runTrial(live, ports.clock, {
    candidateDigest: candidate.digest,
    baselineMs: previous === null ? [] : history.childMsOf(previous.digest),
    policy,
    scoreFloor: request.scoreFloor ?? stored.open.manifest.thresholds.default,
  });
  const aborted = new Promise<'aborted'>((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
  live.turnTo(candidate, stored.directory, previous === null ? 0 : policy.compareEvery).then(
    (first) => {
      history.markFirstResult(first.doneAt);
      observer.firstResult(first.doneAt);
    },
    (error: Error) => trial.crashed(error.message),
  );
  try {
    const ended = await Promise.race([trial.verdict, aborted]);
    if (ended !== 'aborted' && ended.verdict === 'good') {
      const swap = history.closeWindow(request.assignedAt);
      await observer.enter('COMMITTED', swap === null ? {} : { swap });
      await live.commit();
      return { kind: 'committed' };
    }
    await turnBack(live, candidate);
    if (ended === 'aborted') return { kind: 'aborted' };
    const swap = history.closeWindow(request.assignedAt);
    return { kind: 'failed', phase: 'ROLLED_BACK', error: new InstallError(ended.code, ended.message), swap };
  } catch (error) {
    await turnBack(live, candidate);
    throw error;
  } finally {
    trial.stop();
  }
}

/** After a crash the live detector has turned back by itself. */
async function turnBack(live: LiveDetector, candidate: Detector): Promise<void> {
  if (live.active !== candidate) return;
  await live.turnBack();
}
