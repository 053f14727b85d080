import type { Desired, DeviceConfiguration, ReleaseReference } from '@vigie/protocol';
import { isOnlyConfigured, renumbered } from './configuration.js';
import { openDesired } from './desired.js';
import { RETRY_TIMES, type RetryBounds } from './faults.js';
import { asInstallError } from './install-error.js';
import { Installer, type InstallPorts } from './installer.js';
import { ENDS, type InstallState } from './journal.js';
import { next, stateName } from './machine.js';
import type { Effect, Facts, InstallEvent, Step } from './machine-types.js';
import type { Log, StateStore } from './ports.js';
import type { RunningModels } from './running-model.js';
import type { ServerKeyring } from './server-keyring.js';
import type { UpdateError, UpdateStatus } from './status.js';
import { withdrawnOf } from './withdrawal-review.js';

export interface CoordinatorOptions {
  ports: InstallPorts;
  running: RunningModels;
  store: StateStore;
  state: InstallState;
  log: Log;
  deviceId: string;
  trustedKeys: ServerKeyring;
  /** The package that came with the agent, where it runs or can run. */
  bundled: ReleaseReference | null;
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number;
  /** Takes the place of all waits before a retry; for tests. */
  retryMs?: RetryBounds;
  /** Called at every change of `status` but mere progress; `terminal` when an install has ended. */
  onChange(status: UpdateStatus, terminal: boolean): void;
}

interface RunningStep {
  abort: AbortController;
  ended: Promise<void>;
}

/**
 * Carries out what the install machine decides: one event at a time, its effects in their order, one step beside it. What a
 * newer event supersedes is aborted, and its answer is not heard.
 */
export class UpdateCoordinator {
  private state: InstallState;
  private readonly installer: Installer;
  private readonly events: { event: InstallEvent; at: number; of: number | null }[] = [];
  /** The state before a commit that is not on the disk yet: until then nobody is told of the commit. */
  private committing: InstallState | null = null;
  /** Grows with every change of `state`. */
  private stateNumber = 0;
  private pumping: Promise<void> = Promise.resolve();
  private step: RunningStep | null = null;
  private refusal: UpdateError | null = null;
  private progress: UpdateStatus['progress'] = null;
  private cancelTimer: (() => void) | null = null;
  private readonly endings: (() => void)[] = [];
  private accepted: number;
  private assignedAt = 0;
  private phaseAt = 0;
  private stopped = false;

  constructor(private readonly options: CoordinatorOptions) {
    this.state = options.state;
    this.accepted = options.state.generation;
    this.installer = new Installer(options.ports);
  }

  get status(): UpdateStatus {
    const state = this.committing ?? this.state;
    const { journal, generation, previous } = state;
    const phase = stateName(state);
    const busy = journal !== null && !ENDS.has(journal.phase);
    const retryAt = busy ? undefined : journal?.retryAt;
    return {
      generation,
      phase,
      error: this.refusal ?? journal?.error ?? null,
      active: this.options.running.current,
      previous,
      candidate: busy ? journal.release : null,
      swap: journal?.swap ?? null,
      progress: phase === 'DOWNLOADING' ? this.progress : null,
      ...(journal?.plan === undefined ? {} : { plan: journal.plan }),
      ...(journal?.agreement === undefined ? {} : { agreement: journal.agreement }),
      ...(journal === null || retryAt === undefined ? {} : { retry: { attempt: journal.attempt, at: retryAt } }),
    };
  }

  /** What the board shall look for; null: everything. */
  get configuration(): DeviceConfiguration | null {
    return this.state.desired?.configuration ?? null;
  }

  /** Newest signed time known, ms since 1970; 0 for none. */
  get newestIssuedAt(): number {
    return this.state.newestIssuedAt === null ? 0 : Date.parse(this.state.newestIssuedAt);
  }

  /** Goes on with what an earlier start left undone. Call once the initial model was started. */
  begin(): void {
    this.endings.push(this.options.ports.releases.onRefresh(() => void this.review()));
    this.dispatch({ kind: 'started' });
  }

  /** Takes what arrived on the desired topic. Never throws. */
  offer(bytes: Uint8Array): void {
    const { deviceId, trustedKeys, log } = this.options;
    const opened = openDesired(bytes, { deviceId, trustedKeys, lastGeneration: this.accepted });
    if (opened.kind === 'nothing') return;
    if (opened.kind === 'refused') {
      this.refusal = { code: opened.code, message: opened.message };
      log.warn({ code: opened.code, detail: opened.message }, 'desired state refused');
      this.options.onChange(this.status, true);
      return;
    }
    this.accepted = opened.desired.generation;
    this.dispatch({ kind: 'accepted', desired: opened.desired });
  }

  /** The network is back: what the line was at fault for is tried again at once. */
  wake(): void {
    this.dispatch({ kind: 'connected' });
  }

  /** Ends the install under way, which goes on after the next start. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.dispatch({ kind: 'stopped' });
    this.stopped = true;
    this.cancelTimer?.();
    for (const end of this.endings) end();
    await this.pumping;
  }

  private facts(): Facts {
    const { ports, random, bundled, retryMs } = this.options;
    const retryTimes = retryMs === undefined ? RETRY_TIMES : { soon: retryMs, later: retryMs, budget: retryMs };
    return { wallMs: ports.clock.wall(), random: random(), bundled, retryTimes };
  }

  /** `of`: number of the state that a step belonged to; null: the event came from outside. */
  private dispatch(event: InstallEvent, of: number | null = null): void {
    if (this.stopped) return;
    this.events.push({ event, at: this.options.ports.clock.now(), of });
    this.pump();
  }

  private pump(): void {
    if (this.events.length > 1) return;
    this.pumping = (async () => {
      while (this.events.length > 0) {
        const { event, at, of } = this.events[0];
        try {
          // What a step found while another event was dealt with says nothing about the state that this one led to.
          if (of === null || of === this.stateNumber) await this.take(event, at);
        } catch (error) {
          this.options.log.error({ event: event.kind, err: (error as Error).message }, 'the updater failed');
        }
        this.events.shift();
      }
    })();
  }

  private async take(event: InstallEvent, at: number): Promise<void> {
    // Its timer was overtaken by another event.
    if (event.kind === 'due' && this.state.journal?.retryAt === undefined) return;
    if (event.kind === 'accepted' && isOnlyConfigured(this.state.desired, event.desired))
      return this.renumber(event.desired);
    if (this.step !== null) {
      // Only what has consequences ends a step.
      if (next(this.state, event, this.facts()).effects.length === 0) return;
      await this.endStep(this.step, event);
    }
    if (event.kind === 'accepted') this.refusal = null;
    if (event.kind === 'accepted' || event.kind === 'started') this.assignedAt = at;
    const before = this.state;
    const { state, effects } = next(before, event, this.facts());
    if (event.kind === 'failed' || event.kind === 'judged') this.logEnd(event, state);
    if (state !== before) {
      this.committing = stateName(state) === 'COMMITTED' && stateName(before) !== 'COMMITTED' ? before : null;
      this.enter(state);
    }
    for (const effect of effects) {
      const failure = await this.carryOut(effect, before, state);
      if (failure === null) continue;
      await this.take(failure, at);
      return;
    }
  }

  /** Only what to look for has changed: an install under way goes on, one that is over stays as it ended. */
  private async renumber(desired: Desired): Promise<void> {
    this.refusal = null;
    this.state = renumbered(this.state, desired);
    try {
      await this.options.store.save(this.state);
    } catch (error) {
      // It is in force all the same; after a restart the fleet says it again.
      this.options.log.error({ err: (error as Error).message }, 'the configuration cannot be kept');
    }
    this.options.onChange(this.status, true);
  }

  /** Returns what must happen instead of the rest: a state that is not on the disk cannot be acted upon. */
  private async carryOut(effect: Effect, before: InstallState, state: InstallState): Promise<InstallEvent | null> {
    const { ports, running, log, store } = this.options;
    switch (effect.do) {
      case 'abandon':
        await this.installer.abandon();
        running.follow(ports.live.active?.digest ?? null);
        return null;
      case 'persist':
        if (state === before) return null;
        try {
          await store.save(state);
          this.committing = null;
          return null;
        } catch (error) {
          return this.unsaved(error, before, state);
        }
      case 'report':
        this.options.onChange(this.status, effect.terminal);
        return null;
      case 'drain':
        await this.installer.drain();
        return null;
      case 'collect':
        await ports.packages.keepOnly(effect.keep).catch((error: Error) => {
          log.warn({ err: error.message }, 'old packages could not be removed');
        });
        return null;
      case 'schedule':
        log.info({ waitMs: effect.delayMs }, 'the install is tried again');
        this.cancelTimer = ports.clock.after(effect.delayMs, () => this.dispatch({ kind: 'due' }));
        return null;
      case 'review':
        void this.review();
        return null;
      default:
        this.run(effect, state);
        return null;
    }
  }

  private async endStep(step: RunningStep, event: InstallEvent): Promise<void> {
    this.step = null;
    step.abort.abort(new Error(`ended by ${event.kind}`));
    await step.ended;
  }

  private unsaved(error: unknown, before: InstallState, state: InstallState): InstallEvent | null {
    this.committing = null;
    const { code, message } = asInstallError(error);
    this.options.log.error({ code, err: message }, 'the install journal cannot be written');
    const phase = stateName(state);
    // Not committed before it is on the disk: the previous model is still warm.
    if (phase === 'COMMITTED' && stateName(before) === 'TRIAL') this.state = before;
    else if (this.stopped || phase === 'IDLE' || ENDS.has(phase)) return null;
    return { kind: 'failed', code: code === 'DISK_FULL' ? code : 'DISK_ERROR', message: `state.json: ${message}` };
  }

  private run(step: Step, state: InstallState): void {
    const abort = new AbortController();
    const running: RunningStep = { abort, ended: Promise.resolve() };
    const of = this.stateNumber;
    running.ended = this.installer
      .run(step, {
        state,
        assignedAt: this.assignedAt,
        signal: abort.signal,
        onProgress: (bytes, totalBytes) => {
          this.progress = { bytes, totalBytes };
        },
        onFirstResult: (at) => {
          const afterMs = Math.round(at - this.assignedAt);
          this.options.log.info(
            { generation: state.generation, digest: state.journal?.release.digest, afterMs },
            'first live result',
          );
          if (!abort.signal.aborted) this.options.onChange(this.status, false);
        },
      })
      .then((event) => {
        if (this.step !== running) return;
        this.step = null;
        this.dispatch(event, of);
      });
    this.step = running;
  }

  private enter(state: InstallState): void {
    const { clock } = this.options.ports;
    this.cancelTimer?.();
    this.cancelTimer = null;
    this.stateNumber += 1;
    this.state = state;
    const { journal, generation } = state;
    if (journal === null) return;
    const { phase, release } = journal;
    if (phase === 'OFFERED') {
      this.progress = null;
      this.phaseAt = clock.now();
      this.options.running.introduce(release);
    }
    const now = clock.now();
    const took = { phase, afterMs: Math.round(now - this.assignedAt), stepMs: Math.round(now - this.phaseAt) };
    this.options.log.info({ generation, release: `${release.name} ${release.version}`, ...took }, 'install phase');
    this.phaseAt = now;
  }

  private logEnd(
    event: Extract<InstallEvent, { kind: 'failed' | 'judged' }>,
    { generation, journal }: InstallState,
  ): void {
    if (event.kind === 'judged' && event.verdict === 'good') return;
    const fields = { generation, phase: journal?.phase, code: event.code, detail: event.message };
    this.options.log.warn(fields, 'install not committed');
  }

  private async review(): Promise<void> {
    try {
      const digests = await withdrawnOf(this.state, this.options.ports.releases);
      if (digests.length > 0) this.dispatch({ kind: 'withdrawn', digests });
    } catch (error) {
      this.options.log.warn({ err: (error as Error).message }, 'withdrawals could not be looked up');
    }
  }
}
