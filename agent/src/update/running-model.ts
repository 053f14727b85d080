import type { ReleaseReference, RunningModel } from '@vigie/protocol';
import type { FrameResult } from '../ports.js';

/**
 * Proof of running: which model detects now, and on how many frames since when. Counts live results of this start of the agent
 * only: what a comparison or a self-test saw is no proof. A child that is started again goes on counting, a swap begins anew, and
 * while no child lives nothing is said to run.
 */
export class RunningModels {
  private readonly known = new Map<string, ReleaseReference>();
  private running: RunningModel | null = null;

  /** @param alive whether a live child is there now. */
  constructor(
    private readonly wall: () => number,
    private readonly alive: () => boolean = () => true,
  ) {}

  /** A model that may turn up in live results. */
  introduce(release: ReleaseReference): void {
    this.known.set(release.digest, release);
  }

  /** The model that was started, before its first frame. */
  begin(release: ReleaseReference): void {
    this.introduce(release);
    this.turn(release);
  }

  add(result: FrameResult): void {
    if (this.running?.release.digest !== result.digest) {
      this.running = null;
      const release = this.known.get(result.digest);
      // Better no word than one about a model that no longer detects.
      if (release === undefined) return;
      this.turn(release);
    }
    if (this.running !== null) this.running.framesRun += 1;
  }

  /** The pointer was turned by hand of the installer: what is told now must not wait for the next frame. */
  follow(digest: string | null): void {
    if (digest === null) this.running = null;
    else if (this.running?.release.digest !== digest) {
      const release = this.known.get(digest);
      if (release !== undefined) this.turn(release);
    }
  }

  get current(): RunningModel | null {
    return this.running === null || !this.alive() ? null : { ...this.running };
  }

  private turn(release: ReleaseReference): void {
    this.running = { release, framesRun: 0, since: new Date(this.wall()).toISOString() };
  }
}
