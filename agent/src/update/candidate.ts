import type { Desired, SwapReport, TrialPolicy } from '@vigie/protocol';
import type { BoardHeat, Clock, Detector, DetectorFactory, FrameResult, LiveDetector } from '../ports.js';
import { InstallError } from './install-error.js';
import type { LiveHistory } from './live-history.js';
import type { InstallEvent } from './machine-types.js';
import type { GoldenPicture, GoldenPictures, ReadGolden, StoredPackage } from './ports.js';
import { selfTest } from './self-test.js';
import { runShadow } from './shadow-run.js';
import { runTrial, type TrialRun } from './trial-run.js';

export interface CandidatePorts {
  clock: Clock;
  live: LiveDetector;
  factory: DetectorFactory;
  readGolden: ReadGolden;
  history: LiveHistory;
  /** Absent: a board without sensors. */
  readHeat?(): BoardHeat;
  /** Detections below this score are not compared; null: below the package's own default threshold. */
  scoreFloor: number | null;
  /** How long the model that runs took to load when the agent started, ms; null: none, or not measured. */
  initialLoadMs: number | null;
}

export interface CandidateRequest {
  stored: StoredPackage;
  policy: TrialPolicy;
  /** When this was assigned, monotonic ms. */
  assignedAt: number;
  /** The candidate had its first live result: it is active. */
  onFirstResult(at: number): void;
  signal: AbortSignal;
}

/** A model that took over without frames to show for it stays, ms. */
const TAKE_OVER_MS = 30_000;

/** The child of a candidate, from its load to the end of its trial. One at a time. */
export class Candidate {
  private detector: Detector | null = null;
  /** After a stop-swap it is live before its trial begins. */
  private begun: TrialRun | null = null;
  /** How long the last load with its self-test took, ms. */
  lastLoadMs: number | null;

  constructor(private readonly ports: CandidatePorts) {
    this.lastLoadMs = ports.initialLoadMs;
  }

  /** Digest of the candidate whose child lives. */
  get digest(): string | null {
    return this.detector?.digest ?? null;
  }

  /** Loads it in the background and tests it. Throws InstallError MODEL_LOAD_FAILED, GOLDEN_MISMATCH, PACKAGE_INVALID. */
  async load(request: CandidateRequest): Promise<InstallEvent> {
    this.ports.history.openWindow();
    this.detector = await this.loadFrom(request, this.ports.readGolden(request.stored));
    return { kind: 'done' };
  }

  /** Stops the live model first: for two there is no memory. The candidate goes live as this resolves. */
  async stopSwap(request: CandidateRequest): Promise<InstallEvent> {
    const { live, history, readGolden } = this.ports;
    // What can be done before the board is blind is done before.
    const pictures: GoldenPicture[] = [];
    for await (const picture of await readGolden(request.stored)) pictures.push(picture);
    request.signal.throwIfAborted();
    history.openWindow();
    await new Promise<void>((resolve, reject) => {
      live
        .stopThenTurn(async () => {
          const detector = await this.loadFrom(request, Promise.resolve(pictures));
          this.detector = detector;
          this.begun = this.trialOf(detector, request, []);
          resolve();
          return detector;
        }, request.stored.directory)
        .then(
          (result) => this.first(request, result),
          (error: Error) => {
            this.begun?.crashed(error.message);
            // Of a load that failed: the previous model runs again, or is being started.
            reject(error);
          },
        );
    });
    return { kind: 'done' };
  }

  /** Beside the live model. Rejects with the signal's reason. */
  async shadow(request: CandidateRequest, policy: NonNullable<Desired['shadow']>): Promise<InstallEvent> {
    const { live, clock, readHeat, scoreFloor } = this.ports;
    if (live.active === null) {
      return { kind: 'looked', ended: 'no-frames', agreement: null, message: 'no model runs to compare with' };
    }
    const subject = {
      candidate: this.present,
      policy,
      maxTemperatureC: request.policy.maxTemperatureC,
      scoreFloor: scoreFloor ?? request.stored.open.manifest.thresholds.default,
      readHeat,
    };
    const { ended, agreement, reason } = await runShadow(live, clock, subject, request.signal);
    return { kind: 'looked', ended, agreement, message: reason };
  }

  /** Turns the pointer, unless a stop-swap has, and judges. Rejects with the signal's reason. */
  async trial(request: CandidateRequest): Promise<InstallEvent> {
    const { live, history } = this.ports;
    const detector = this.present;
    const previous = live.active;
    const trial =
      this.begun ?? this.trialOf(detector, request, previous === null ? [] : history.childMsOf(previous.digest));
    if (this.begun === null) {
      live.turnTo(detector, request.stored.directory, previous === null ? 0 : request.policy.compareEvery).then(
        (result) => this.first(request, result),
        (error: Error) => trial.crashed(error.message),
      );
    }
    try {
      const verdict = await unlessAborted(trial.verdict, request.signal);
      const swap = history.closeWindow(request.assignedAt);
      const found = { ...swapOf(swap), ...(verdict.agreement === null ? {} : { agreement: verdict.agreement }) };
      return verdict.verdict === 'good'
        ? { kind: 'judged', verdict: 'good', message: verdict.reason, ...found }
        : { kind: 'judged', verdict: verdict.verdict, code: verdict.code, message: verdict.message, ...found };
    } finally {
      trial.stop();
      this.begun = null;
    }
  }

  /** Turns the pointer to a model that was good before: its first live result is enough, and no frames are no reason against it. */
  async takeOver(request: CandidateRequest): Promise<InstallEvent> {
    const { live, clock, history } = this.ports;
    const detector = this.present;
    let cancel = () => {};
    try {
      if (live.active !== detector) {
        const late = new Promise<null>((resolve) => {
          cancel = clock.after(TAKE_OVER_MS, () => resolve(null));
        });
        const turned = live.turnTo(detector, request.stored.directory, 0);
        const first = await unlessAborted(Promise.race([turned, late]), request.signal);
        if (first !== null) this.first(request, first);
      }
      const swap = swapOf(history.closeWindow(request.assignedAt));
      return { kind: 'judged', verdict: 'good', message: 'it was good before', ...swap };
    } catch (error) {
      request.signal.throwIfAborted();
      return { kind: 'judged', verdict: 'bad', code: 'TRIAL_CHILD_CRASHED', message: (error as Error).message };
    } finally {
      cancel();
      this.begun?.stop();
      this.begun = null;
    }
  }

  /** It was committed: the previous model's child goes. */
  async drain(): Promise<void> {
    this.detector = null;
    await this.ports.live.commit();
  }

  /** Ends it wherever it is. After a crash the live detector has turned back by itself. */
  async abandon(): Promise<void> {
    const { detector } = this;
    this.detector = null;
    this.begun?.stop();
    this.begun = null;
    if (detector === null) return;
    if (this.ports.live.active === detector) await this.ports.live.turnBack();
    else await detector.close().catch(() => {});
  }

  private get present(): Detector {
    if (this.detector === null) throw new InstallError('INTERNAL', 'no candidate is loaded');
    return this.detector;
  }

  /** Loads while the golden frames are decoded, and tests. Closes the child when anything fails. */
  private async loadFrom(request: CandidateRequest, golden: Promise<GoldenPictures>): Promise<Detector> {
    const { factory, clock } = this.ports;
    const { stored, signal } = request;
    const begunAt = clock.now();
    const spawning = factory.spawn(stored.directory, 'background', stored.open).catch((error: Error) => {
      throw new InstallError('MODEL_LOAD_FAILED', error.message, { cause: error });
    });
    const [detector, pictures] = await Promise.allSettled([spawning, golden]);
    if (detector.status === 'rejected') throw detector.reason;
    try {
      if (pictures.status === 'rejected') throw pictures.reason;
      signal.throwIfAborted();
      await selfTest(detector.value, pictures.value, stored.open.manifest.thresholds.default, signal);
      this.lastLoadMs = clock.now() - begunAt;
      return detector.value;
    } catch (error) {
      await detector.value.close().catch(() => {});
      throw error;
    }
  }

  private trialOf(detector: Detector, request: CandidateRequest, baselineMs: readonly number[]): TrialRun {
    const { live, clock, readHeat, scoreFloor } = this.ports;
    return runTrial(live, clock, {
      candidateDigest: detector.digest,
      baselineMs,
      policy: request.policy,
      scoreFloor: scoreFloor ?? request.stored.open.manifest.thresholds.default,
      readHeat,
    });
  }

  private first(request: CandidateRequest, { doneAt }: FrameResult): void {
    this.ports.history.markFirstResult(doneAt);
    request.onFirstResult(doneAt);
  }
}

function swapOf(swap: SwapReport | null): { swap?: SwapReport } {
  return swap === null ? {} : { swap };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
