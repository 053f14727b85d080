import type { Desired, InstallPhase, ReleaseReference } from '@vigie/protocol';
import { openDesired, trialPolicyOf } from './desired.js';
import { type InstallError, isModelFault, isTransient } from './install-error.js';
import { type InstallObserver, type InstallPorts, runInstall } from './installer.js';
import { advance, type InstallState, isTerminal, type JournalEntry, rememberFailure } from './journal.js';
import type { Log, StateStore } from './ports.js';
import { type Action, reconcile } from './reconcile.js';
import type { RunningModels } from './running-model.js';
import type { ServerKeyring } from './server-keyring.js';
import type { UpdateError, UpdateStatus } from './status.js';

export interface CoordinatorOptions {
  ports: InstallPorts;
  running: RunningModels;
  store: StateStore;
  state: InstallState;
  log: Log;
  deviceId: string;
  trustedKeys: ServerKeyring;
  scoreFloor: number | null;
  /** Digest of the package that came with the agent; it lies in no slot. */
  bundledDigest: string | null;
  /** First and longest wait before a transient failure is tried again, ms. */
  retryMs?: { first: number; longest: number };
  /** Called at every change of `status` but mere progress; `terminal` when an install has ended. */
  onChange(status: UpdateStatus, terminal: boolean): void;
}

/** Turns desired states into installs, one at a time: a newer generation aborts the one under way. */
export class UpdateCoordinator {
  private state: InstallState;
  private accepted: number;
  private refusal: UpdateError | null = null;
  private progress: UpdateStatus['progress'] = null;
  private abort: AbortController | null = null;
  private tail: Promise<void> = Promise.resolve();
  private failures = 0;
  private cancelRetry: (() => void) | null = null;
  private stopped = false;

  constructor(private readonly options: CoordinatorOptions) {
    this.state = options.state;
    this.accepted = options.state.generation;
  }

  get status(): UpdateStatus {
    const { journal, generation, previous } = this.state;
    const busy = journal !== null && !isTerminal(journal.phase);
    return {
      generation,
      phase: journal?.phase ?? 'IDLE',
      error: this.refusal ?? journal?.error ?? null,
      active: this.options.running.current,
      previous,
      candidate: busy ? journal.release : null,
      swap: journal?.swap ?? null,
      progress: busy ? this.progress : null,
    };
  }

  /** Newest signed time known, ms since 1970; 0 for none. */
  get newestIssuedAt(): number {
    return this.state.newestIssuedAt === null ? 0 : Date.parse(this.state.newestIssuedAt);
  }

  /** Goes on with what an earlier start left undone. Call once the initial model was started. */
  begin(): void {
    const { desired } = this.state;
    if (desired !== null) this.enqueue(desired, this.options.ports.clock.now());
  }

  /** Takes what arrived on the desired topic. Never throws. */
  offer(bytes: Uint8Array): void {
    const arrivedAt = this.options.ports.clock.now();
    const { deviceId, trustedKeys } = this.options;
    const opened = openDesired(bytes, { deviceId, trustedKeys, lastGeneration: this.accepted });
    if (opened.kind === 'nothing') return;
    if (opened.kind === 'refused') {
      this.refusal = { code: opened.code, message: opened.message };
      this.options.log.warn({ code: opened.code, detail: opened.message }, 'desired state refused');
      this.changed(true);
      return;
    }
    this.accepted = opened.desired.generation;
    this.failures = 0;
    this.abort?.abort();
    this.enqueue(opened.desired, arrivedAt);
  }

  /** The network is back: a transient failure is tried again at once. */
  wake(): void {
    if (this.cancelRetry === null) return;
    this.cancelRetry();
    this.cancelRetry = null;
    this.begin();
  }

  /** Aborts the install under way, which goes on after the next start. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelRetry?.();
    this.abort?.abort();
    await this.tail;
  }

  private enqueue(desired: Desired, arrivedAt: number): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.tail = this.tail
      .then(() => this.act(desired, arrivedAt))
      .catch((error: Error) => {
        this.options.log.error({ err: error.message }, 'the updater failed');
        this.scheduleRetry();
      });
  }

  private async act(desired: Desired, arrivedAt: number): Promise<void> {
    if (this.stopped || desired.generation < this.accepted) return;
    if (desired.generation > this.state.generation) {
      const newest = this.state.newestIssuedAt;
      const newestIssuedAt = newest !== null && newest > desired.issuedAt ? newest : desired.issuedAt;
      this.refusal = null;
      // The end of an older generation must never be told under the new one's number.
      this.state = { ...this.state, generation: desired.generation, desired, newestIssuedAt, journal: null };
    }
    const activeDigest = this.options.ports.live.active?.digest ?? null;
    const action = reconcile(desired, { activeDigest }, this.state);
    this.options.log.info({ generation: desired.generation, action }, 'desired state reconciled');
    await this.perform(action, desired, arrivedAt);
  }

  private async perform(action: Action, desired: Desired, arrivedAt: number): Promise<void> {
    const { generation } = desired;
    switch (action.kind) {
      case 'nothing':
        if (action.reason === 'leave-as-is') await this.persist({ journal: null });
        return this.changed(false);
      case 'adopt':
        await this.persist({
          journal: { generation, release: action.release, phase: 'COMMITTED', error: null, loads: 0 },
          active: action.release.digest === this.options.bundledDigest ? null : action.release,
        });
        return this.changed(true);
      case 'refuse': {
        const error = { code: action.code, message: action.message };
        const failed =
          action.code === 'PREVIOUSLY_FAILED'
            ? this.state.failed
            : rememberFailure(this.state.failed, action.release.digest, { code: action.code, generation });
        const journal: JournalEntry = { generation, release: action.release, phase: 'FAILED', error, loads: 0 };
        await this.persist({ journal, failed });
        return this.changed(true);
      }
      case 'install':
        return this.install(action.release, action.resume, desired, arrivedAt);
    }
  }

  private async install(
    release: ReleaseReference,
    resume: boolean,
    desired: Desired,
    assignedAt: number,
  ): Promise<void> {
    const { ports, log, running } = this.options;
    const loads = resume ? (this.state.journal?.loads ?? 0) : 0;
    const { generation } = desired;
    this.progress = null;
    running.introduce(release);
    this.abort = new AbortController();
    let phaseAt = ports.clock.now();
    await this.persist({ journal: { generation, release, phase: 'OFFERED', error: null, loads } });
    this.changed(false);

    const observer: InstallObserver = {
      enter: async (phase: InstallPhase, changes = {}) => {
        const entry = this.state.journal as JournalEntry;
        const journal = advance(entry, phase, {
          ...changes,
          loads: entry.loads + (phase === 'SELF_TEST' ? 1 : 0),
        });
        if (phase === 'COMMITTED') {
          const failed = Object.fromEntries(
            Object.entries(this.state.failed).filter(([key]) => key !== release.digest),
          );
          await this.persist({ journal, active: release, previous: this.previousFor(release), failed });
        } else {
          await this.persist({ journal });
        }
        const now = ports.clock.now();
        const took = { phase, afterMs: Math.round(now - assignedAt), stepMs: Math.round(now - phaseAt) };
        log.info({ generation, release: `${release.name} ${release.version}`, ...took }, 'install phase');
        phaseAt = now;
        this.changed(phase === 'COMMITTED');
      },
      progress: (bytes, totalBytes) => {
        this.progress = { bytes, totalBytes };
      },
      firstResult: (at) => {
        log.info({ generation, digest: release.digest, afterMs: Math.round(at - assignedAt) }, 'first live result');
        this.changed(false);
      },
    };
    const request = {
      release,
      policy: trialPolicyOf(desired),
      delivery: { generation, issuedAt: Date.parse(desired.issuedAt), policy: desired.delivery ?? {} },
      assignedAt,
      scoreFloor: this.options.scoreFloor,
    };
    const outcome = await runInstall(ports, request, observer, this.abort.signal);
    this.abort = null;
    switch (outcome.kind) {
      case 'committed':
        this.failures = 0;
        await this.collectGarbage();
        return;
      case 'aborted':
        running.follow(ports.live.active?.digest ?? null);
        // An orderly stop is no crash: it does not count against the model.
        if (this.stopped) await this.persist({ journal: { ...(this.state.journal as JournalEntry), loads } });
        log.info({ generation }, this.stopped ? 'install interrupted by the stop' : 'install superseded');
        return;
      case 'failed':
        return this.failed(outcome.phase, outcome.error, outcome.swap, release, generation);
    }
  }

  private async failed(
    phase: 'FAILED' | 'ROLLED_BACK',
    error: InstallError,
    swap: UpdateStatus['swap'],
    release: ReleaseReference,
    generation: number,
  ): Promise<void> {
    const { code } = error;
    const message = error.message.slice(0, 480);
    this.options.log.warn({ generation, phase, code, detail: message }, 'install failed');
    const journal = advance(this.state.journal as JournalEntry, phase, {
      error: { code, message },
      ...(swap === null ? {} : { swap }),
    });
    const failed = isModelFault(code)
      ? rememberFailure(this.state.failed, release.digest, { code, generation })
      : this.state.failed;
    await this.persist({ journal, failed });
    this.options.running.follow(this.options.ports.live.active?.digest ?? null);
    this.changed(true);
    if (isTransient(code)) this.scheduleRetry();
    else await this.collectGarbage();
  }

  private scheduleRetry(): void {
    if (this.stopped) return;
    const { first, longest } = this.options.retryMs ?? { first: 5000, longest: 300_000 };
    const wait = Math.min(longest, first * 2 ** this.failures);
    this.failures += 1;
    this.options.log.info({ waitMs: wait }, 'the install is tried again');
    this.cancelRetry = this.options.ports.clock.after(wait, () => {
      this.cancelRetry = null;
      this.begin();
    });
  }

  /** The slot to keep for a way back. */
  private previousFor(release: ReleaseReference): ReleaseReference | null {
    const { active, previous } = this.state;
    return active !== null && active.digest !== release.digest ? active : previous;
  }

  private async collectGarbage(): Promise<void> {
    const { active, previous } = this.state;
    const keep = [active, previous].flatMap((slot) => (slot === null ? [] : [slot.digest]));
    await this.options.ports.packages.keepOnly(keep).catch((error: Error) => {
      this.options.log.warn({ err: error.message }, 'old packages could not be removed');
    });
  }

  private async persist(changes: Partial<InstallState>): Promise<void> {
    const next = { ...this.state, ...changes };
    await this.options.store.save(next);
    this.state = next;
  }

  private changed(terminal: boolean): void {
    this.options.onChange(this.status, terminal);
  }
}
