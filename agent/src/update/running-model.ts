import type { ReleaseReference, RunningModel } from '@vigie/protocol';
import type { FrameResult } from '../ports.js';

/** Which model detects now, and how many frames it has: follows the live results, so a turn back shows by itself. */
export class RunningModels {
  private readonly known = new Map<string, ReleaseReference>();
  private running: RunningModel | null = null;

  constructor(private readonly wall: () => number) {}

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
      const release = this.known.get(result.digest);
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
    return this.running === null ? null : { ...this.running };
  }

  private turn(release: ReleaseReference): void {
    this.running = { release, framesRun: 0, since: new Date(this.wall()).toISOString() };
  }
}
