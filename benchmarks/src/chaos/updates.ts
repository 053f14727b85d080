import type { TrialPolicy } from '@vigie/protocol';
import type { FleetDevice, FleetRelease } from '../clients/fleet-client.js';
import { pause } from '../rig/wait.js';
import type { ChaosBoard } from './chaos-board.js';
import type { ChaosContext } from './context.js';
import { count } from './tally.js';

/** Few frames a second: a trial of three takes less than one, and is not to judge the speed of a machine under such load. */
const TRIAL: Partial<TrialPolicy> = {
  minFrames: 3,
  compareEvery: 1,
  maxLatencyRatio: 100,
  minDetectionRatio: 0,
  deadlineMs: 10_000,
};
const LOOK_EVERY_MS = 200;
/** An update that did not come through by then, for all the kills, is assigned anew, ms. */
const RENEW_MS = 60_000;
/** The end of an install that a board may still mend by itself (a transient cause) is answered only then, ms. */
const MEND_MS = 15_000;
const ENDED: readonly string[] = ['FAILED', 'ROLLED_BACK', 'INCONCLUSIVE'];

/** Gives one board release after release, in turn: the next as soon as the last one is proven to run. */
export class Updates {
  #turn: number;

  constructor(
    private readonly run: ChaosContext,
    private readonly board: ChaosBoard,
    offset: number,
  ) {
    this.#turn = offset;
  }

  /** Until the run is told to stop. */
  async goOn(): Promise<void> {
    while (!this.run.stopping && !this.run.calm) await this.updateOnce(() => this.run.stopping || this.run.calm);
  }

  /** The last one, undisturbed. Resolves false when it did not come through. */
  async settle(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    return this.updateOnce(() => performance.now() > deadline);
  }

  private async updateOnce(ended: () => boolean): Promise<boolean> {
    const { run } = this;
    const { updates } = run.state.tally;
    this.#turn += 1;
    const release = run.releases[this.#turn % run.releases.length];
    let retry = false;
    let counted = false;
    while (!ended()) {
      const generation = await this.assign(release, retry, ended);
      if (generation === null) return false;
      if (!counted) updates.assigned += 1;
      counted = true;
      const outcome = await this.await(release, generation, ended);
      if (outcome === 'ended') return false;
      if (outcome === 'converged') {
        updates.converged += 1;
        return true;
      }
      if (outcome === 'late') updates.renewed += 1;
      else count(updates.ended, outcome);
      retry = true;
    }
    return false;
  }

  private async assign(release: FleetRelease, retry: boolean, ended: () => boolean): Promise<number | null> {
    const { run, board } = this;
    while (!ended()) {
      if (run.server.up) {
        try {
          const generations = await run.server.client.assignAll([board.id], release.name, release.version, {
            retry,
            trial: TRIAL,
          });
          return generations.get(board.id) ?? null;
        } catch {
          // Killed in the middle of the request: whether it was stored or not, a new generation is above it.
        }
      }
      await pause(LOOK_EVERY_MS);
    }
    return null;
  }

  /** In sync by proof, or the code with which the board ended the install, or `late`. */
  private async await(release: FleetRelease, generation: number, ended: () => boolean): Promise<string> {
    const { run, board } = this;
    const since = performance.now();
    let endedSince: number | null = null;
    while (!ended()) {
      const device = run.server.up ? await run.server.client.device(board.id).catch(() => null) : null;
      const reported = device?.reported;
      if (device !== null && reported?.generation === generation) {
        if (converged(device, release)) return 'converged';
        const final = ENDED.includes(reported.phase) && reported.retry === undefined;
        endedSince = final ? (endedSince ?? performance.now()) : null;
        if (endedSince !== null && performance.now() - endedSince > (mends(reported.error?.code) ? MEND_MS : 0))
          return reported.error?.code ?? reported.phase;
      }
      if (performance.now() - since > RENEW_MS) return 'late';
      await pause(LOOK_EVERY_MS);
    }
    return 'ended';
  }
}

/** The board says that the digest has run frames, and that the install is committed. */
function converged({ reported }: FleetDevice, release: FleetRelease): boolean {
  const { active, phase } = reported ?? {};
  return phase === 'COMMITTED' && active?.release.digest === release.digest && active.framesRun > 0;
}

function mends(code: string | undefined): boolean {
  return code !== undefined && !/^(TRIAL_|MODEL_|GOLDEN_|PREVIOUSLY_|PACKAGE_)/.test(code);
}
