import { pause } from '../rig/wait.js';
import type { ChaosBoard } from './chaos-board.js';
import type { ChaosContext } from './context.js';
import { corruptionOf, readBoardDisk, readJournaledEvents } from './disk-check.js';
import { type Strike, strikeOf } from './plan.js';
import { inferenceChildren, killHard } from './processes.js';
import { count } from './tally.js';

/** A moment that was aimed at and has not come by then is struck without it, ms. */
const MOMENT_MS = 12_000;

/** Kills one board's agent and inference children by the plan, and looks after each kill whether the board still sees. */
export class BoardLane {
  constructor(
    private readonly run: ChaosContext,
    private readonly board: ChaosBoard,
    /** 1…: place in `state.done`. */
    private readonly lane: number,
  ) {}

  /** Strikes until `quota` is reached or the run is told to stop. */
  async strikeAll(quota: number): Promise<void> {
    const { run, board } = this;
    while (run.state.done[this.lane] < quota && !run.stopping) {
      await this.reviveIfDead();
      const strike = this.next(0);
      await this.awaitMoment(strike);
      if (run.stopping) return;
      if (board.diedUnasked) continue;
      if (strike.victim === 'child') await this.strikeChild(strike);
      else await this.strikeAgent(strike, quota);
    }
  }

  private next(ahead: number): Strike {
    return strikeOf(this.run.state.seed, this.lane, this.run.state.done[this.lane] + ahead);
  }

  private async awaitMoment({ aim, delayMs }: Strike): Promise<void> {
    // A start can only be struck right after a kill; here the aim is as good as a random time.
    if (aim.kind === 'time' || aim.kind === 'start') return pause(delayMs);
    let giveUp = (): void => {};
    const came = new Promise<void>((resolve) => {
      giveUp = this.board.watch.onMoment(aim, resolve);
    });
    await Promise.race([came, pause(MOMENT_MS)]);
    giveUp();
    if (delayMs > 0) await pause(delayMs);
  }

  private async strikeChild({ choice, aim }: Strike): Promise<void> {
    const { run, board } = this;
    const children = inferenceChildren(board.pid);
    const chosen = children[Math.min(children.length - 1, Math.floor(choice * children.length))];
    if (chosen === undefined || !killHard(chosen.pid)) {
      // Between two children (a respawn): there is nothing to kill just now.
      await pause(50);
      return;
    }
    const struckAt = performance.now();
    board.watch.forget();
    count(run.state.tally.phases.child, board.watch.phase);
    count(run.state.tally.aims, aim.kind);
    run.done(this.lane, 'child');
    await this.expectSight(struckAt, `an inference child was killed in ${board.watch.phase}`);
    this.checkSlots();
  }

  /** Kills the agent, and again while it starts as long as the plan says so; then the board must see again. */
  private async strikeAgent(first: Strike, quota: number): Promise<void> {
    const { run, board } = this;
    let strike = first;
    for (;;) {
      const { orphans } = await board.kill();
      const struckAt = performance.now();
      const phase = this.inspectDead();
      count(run.state.tally.phases.agent, phase);
      count(run.state.tally.aims, strike.aim.kind);
      run.done(this.lane, 'agent');
      void orphans.then((left) => {
        if (left > 0) run.find('orphans', board.id, `${left} processes of a killed agent still ran 15 s later`);
      });
      await pause(strike.downMs);
      board.start();
      run.notePids();
      const next = this.next(0);
      const again = next.victim === 'agent' && next.aim.kind === 'start' && run.state.done[this.lane] < quota;
      if (!again || run.stopping) {
        await this.expectSight(struckAt, `the agent was killed in ${phase}`);
        this.checkWakeUp();
        return;
      }
      await pause(next.delayMs);
      strike = next;
    }
  }

  /** The disk of a dead board stands still: what it holds now is what it wakes up on. Returns the phase it was struck in. */
  private inspectDead(): string {
    const { run, board } = this;
    const { dataDirectory } = board.options;
    for (const [key, body] of readJournaledEvents(dataDirectory)) run.folder.note('journaled', board.id, key, body);
    try {
      this.checkSlots();
      const disk = readBoardDisk(dataDirectory);
      this.expected = disk?.active ?? run.bundledDigest;
      return disk?.phase ?? 'IDLE';
    } catch (error) {
      run.find('journal-unreadable', board.id, (error as Error).message);
      this.expected = null;
      return 'unreadable';
    }
  }

  private expected: string | null = null;

  private checkSlots(): void {
    const { run, board } = this;
    const { dataDirectory } = board.options;
    const disk = readBoardDisk(dataDirectory);
    for (const digest of [disk?.active, disk?.previous]) {
      if (digest === null || digest === undefined) continue;
      const corruption = corruptionOf(dataDirectory, digest);
      if (corruption === null) continue;
      // A living agent may have turned to another slot, and collected this one, while we read.
      const now = readBoardDisk(dataDirectory);
      if (now?.active !== digest && now?.previous !== digest) continue;
      run.find('slot-corrupt', board.id, `slot ${digest.slice(0, 12)} in ${disk?.phase}: ${corruption}`);
    }
  }

  private checkWakeUp(): void {
    const { run, board, expected } = this;
    const { firstDigest } = board.watch;
    if (expected === null || firstDigest === null || firstDigest === expected) return;
    run.find(
      'woke-on-another-model',
      board.id,
      `its active slot is ${expected.slice(0, 12)}, it woke up on ${firstDigest.slice(0, 12)}`,
    );
  }

  private async expectSight(sinceMs: number, after: string): Promise<void> {
    const { run, board } = this;
    const took = await board.watch.awaitRunning(sinceMs, run.blindMs);
    if (run.stopping) return;
    if (took !== null) {
      run.state.tally.recoveriesMs.push(Math.round(took));
      run.save();
      return;
    }
    run.find('blind', board.id, `${run.blindMs / 1000} s after ${after}: ${board.lastWords}`);
  }

  /** What systemd would do with an agent that ends by itself; it is a finding all the same. */
  private async reviveIfDead(): Promise<void> {
    const { run, board } = this;
    if (!board.diedUnasked) return;
    run.find('agent-died-unasked', board.id, board.lastWords);
    const since = performance.now();
    board.watch.forget();
    board.start();
    run.notePids();
    await this.expectSight(since, 'the agent ended by itself');
  }
}
