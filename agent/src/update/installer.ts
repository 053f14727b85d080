import type { Desired, ReleaseDescriptor, ReleaseReference, TrialPolicy } from '@vigie/protocol';
import { Candidate, type CandidatePorts, type CandidateRequest } from './candidate.js';
import type { DeliveryOrder } from './delivery.js';
import { trialPolicyOf } from './desired.js';
import { asInstallError, InstallError } from './install-error.js';
import type { InstallState } from './journal.js';
import type { InstallEvent, Step } from './machine-types.js';
import type { PackageStore, ReleaseSource, StoredPackage } from './ports.js';
import { type BoardMemory, planInstall } from './preflight.js';
import { checkDescriptor, checkRequirements } from './release-checks.js';

export interface InstallPorts extends CandidatePorts {
  releases: ReleaseSource;
  packages: PackageStore;
  /** The package that came with the agent, verified; it lies in no slot. */
  bundled: StoredPackage | null;
  board: { agentVersion: string; hardwareClass: string };
  /** Of the board, and of the child with this process id; absent: memory is not planned. */
  readMemory?(livePid: number | null): BoardMemory;
  /** May so many bytes be fetched? Throws InstallError DATA_BUDGET_EXCEEDED; absent: the download itself asks. */
  checkBudget?(fetchBytes: number, order: DeliveryOrder): Promise<void>;
}

export interface StepRequest {
  /** With the journal entry that the step belongs to. */
  state: InstallState;
  /** When this was assigned, monotonic ms. */
  assignedAt: number;
  onProgress(bytes: number, totalBytes: number): void;
  onFirstResult(at: number): void;
  signal: AbortSignal;
}

const NOTHING_TO_FETCH = { missingBytes: 0, fetchBytes: 0, freeBytes: Number.POSITIVE_INFINITY };

/** Carries out the steps of one install. What they have in hand goes from step to step, and with `abandon`. */
export class Installer {
  private readonly candidate: Candidate;
  private descriptor: ReleaseDescriptor | null = null;
  private stored: StoredPackage | null = null;

  constructor(private readonly ports: InstallPorts) {
    this.candidate = new Candidate(ports);
  }

  /** Never throws: what went wrong is an event. */
  async run(step: Step, request: StepRequest): Promise<InstallEvent> {
    try {
      return await this.perform(step, request);
    } catch (error) {
      const { code, message } = asInstallError(error);
      return { kind: 'failed', code, message };
    }
  }

  async abandon(): Promise<void> {
    this.descriptor = null;
    this.stored = null;
    await this.candidate.abandon();
  }

  async drain(): Promise<void> {
    this.descriptor = null;
    this.stored = null;
    await this.candidate.drain();
  }

  private async perform(step: Step, request: StepRequest): Promise<InstallEvent> {
    switch (step.do) {
      case 'proceed':
        return { kind: 'done' };
      case 'preflight':
        return this.preflight(step.release, request);
      case 'fetch':
        return this.fill(request);
      case 'verify':
        return this.verify(request);
      case 'self-test':
        return this.candidate.load(this.candidateRequest(request));
      case 'stop-swap':
        return this.candidate.stopSwap(this.candidateRequest(request));
      case 'shadow': {
        const { shadow } = request.state.desired ?? {};
        if (shadow === undefined) throw new InstallError('INTERNAL', 'no shadow run was asked for');
        return this.candidate.shadow(this.candidateRequest(request), shadow);
      }
      case 'trial':
        return this.candidate.trial(this.candidateRequest(request));
      case 'take-over':
        return this.candidate.takeOver(this.candidateRequest(request));
    }
  }

  private async preflight(release: ReleaseReference, request: StepRequest): Promise<InstallEvent> {
    const { releases, packages, board, checkBudget } = this.ports;
    const { state, signal } = request;
    if (state.journal?.left !== undefined) {
      // What was good before needs nobody's word and no line.
      this.stored = await this.onDisk(release);
      if (this.stored !== null) {
        const packageBytes = total(this.stored.open.files);
        const plan = this.plan({ missingBytes: 0, freeBytes: Number.POSITIVE_INFINITY, packageBytes }, state);
        return { kind: 'done', present: true, plan };
      }
    }
    const descriptor = await releases.describe(release, signal);
    checkDescriptor(descriptor, release);
    checkRequirements(descriptor.requires, board);
    this.descriptor = descriptor;
    // What came with the agent runs from where it lies: a copy in a slot would serve nobody.
    if (this.ports.bundled?.open.digest === release.digest) this.stored = this.ports.bundled;
    const { missingBytes, fetchBytes, freeBytes } =
      this.stored === null ? await packages.survey(descriptor, signal) : NOTHING_TO_FETCH;
    const { memoryBytes } = descriptor.requires;
    const plan = this.plan({ missingBytes, freeBytes, packageBytes: total(descriptor.files), memoryBytes }, state);
    await checkBudget?.(fetchBytes, orderOf(state));
    signal.throwIfAborted();
    return { kind: 'done', plan };
  }

  private plan(
    sizes: { missingBytes: number; freeBytes: number; packageBytes: number; memoryBytes?: number },
    { desired, journal }: InstallState,
  ) {
    const { live, readMemory } = this.ports;
    return planInstall({
      ...sizes,
      memory: readMemory?.(live.active?.pid ?? null) ?? { availableBytes: null, liveBytes: null },
      lastLoadMs: this.candidate.lastLoadMs,
      shadow: desired?.shadow !== undefined && journal?.left === undefined,
    });
  }

  private async fill({ state, onProgress, signal }: StepRequest): Promise<InstallEvent> {
    if (this.stored !== null) return { kind: 'done' };
    await this.ports.packages.fill(this.described, onProgress, signal, orderOf(state));
    signal.throwIfAborted();
    return { kind: 'done' };
  }

  private async verify({ signal }: StepRequest): Promise<InstallEvent> {
    // What is on the disk already was verified when it was opened.
    this.stored ??= await this.ports.packages.verify(this.described);
    signal.throwIfAborted();
    return { kind: 'done' };
  }

  private async onDisk({ digest }: ReleaseReference): Promise<StoredPackage | null> {
    const { packages, bundled } = this.ports;
    return (await packages.open(digest)) ?? (bundled?.open.digest === digest ? bundled : null);
  }

  private get described(): ReleaseDescriptor {
    if (this.descriptor === null) throw new InstallError('INTERNAL', 'no release was described');
    return this.descriptor;
  }

  private candidateRequest({ state, ...request }: StepRequest): CandidateRequest {
    if (this.stored === null) throw new InstallError('INTERNAL', 'no package was verified');
    return { ...request, stored: this.stored, policy: this.policyOf(state.desired) };
  }

  /** Defaults, then what the release says, then what the fleet says. */
  private policyOf(desired: Desired | null): TrialPolicy {
    return trialPolicyOf(desired?.trial, this.descriptor?.trial);
  }
}

function orderOf({ desired, generation }: InstallState): DeliveryOrder {
  return { generation, issuedAt: Date.parse(desired?.issuedAt ?? ''), policy: desired?.delivery ?? {} };
}

function total(files: readonly { size: number }[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
