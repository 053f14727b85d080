import { pause, waitFor } from '../rig/wait.js';
import type { ChaosBoard } from './chaos-board.js';
import type { ChaosContext } from './context.js';
import { AIMED_PHASES, type Strike, strikeOf } from './plan.js';
import { count } from './tally.js';

const MOMENT_MS = 12_000;
/** A board that is alive is connected again by then, ms. */
const RECONNECT_MS = 60_000;
/** Between two kills of the server, so that updates get anywhere, ms. */
const REST_MS = 2500;

/** Kills the fleet server, its broker with it, and looks whether every board goes on seeing and comes back. */
export class ServerLane {
  constructor(private readonly run: ChaosContext) {}

  async strikeAll(quota: number): Promise<void> {
    const { run } = this;
    while (run.state.done[0] < quota && !run.stopping) {
      const strike = strikeOf(run.state.seed, 0, run.state.done[0]);
      await Promise.race([pause(REST_MS), run.stopped]);
      await this.awaitMoment(strike);
      if (run.stopping) return;
      await this.strike(strike);
    }
  }

  private async awaitMoment({ aim, delayMs }: Strike): Promise<void> {
    if (aim.kind !== 'phase') return pause(delayMs);
    const given: (() => void)[] = [];
    const came = new Promise<void>((resolve) => {
      for (const board of this.run.boards) given.push(board.watch.onMoment(aim, resolve));
    });
    await Promise.race([came, pause(MOMENT_MS)]);
    for (const giveUp of given) giveUp();
    if (delayMs > 0) await pause(delayMs);
  }

  private async strike({ aim, downMs }: Strike): Promise<void> {
    const { run } = this;
    const { tally } = run.state;
    const phase = furthest(run.boards);
    if (!run.server.running) run.find('server-died-unasked', 'server', run.server.lastWords);
    await run.server.kill();
    const struckAt = performance.now();
    count(tally.phases.server, phase);
    count(tally.aims, aim.kind);
    run.done(0, 'server');
    const seeing = run.boards.map(async (board) => {
      const took = await board.watch.awaitRunning(struckAt, run.blindMs);
      if (took !== null) tally.recoveriesMs.push(Math.round(took));
      else if (!run.stopping)
        run.find('blind', board.id, `${run.blindMs / 1000} s after the server was killed: ${board.lastWords}`);
    });
    await pause(downMs);
    await run.server.start();
    run.notePids();
    const upAt = performance.now();
    await Promise.all([...seeing, ...run.boards.map((board) => this.awaitConnection(board))]);
    if (!run.stopping) tally.reconnectsMs.push(Math.round(performance.now() - upAt));
    run.save();
  }

  private async awaitConnection(board: ChaosBoard): Promise<void> {
    const connected = async (): Promise<boolean> =>
      this.run.stopping || (await board.client.health())?.link.connected === true;
    await waitFor(`${board.id} to be connected again`, connected, { timeoutMs: RECONNECT_MS, everyMs: 200 }).catch(
      (error: Error) => this.run.find('not-converged', board.id, error.message),
    );
  }
}

/** The phase of the board that is furthest into an install: what a death of the server disturbs. */
function furthest(boards: readonly ChaosBoard[]): string {
  const order: readonly string[] = ['IDLE', 'COMMITTED', ...AIMED_PHASES.slice(0, -1)];
  return boards
    .map(({ watch }) => watch.phase)
    .reduce((best, phase) => (order.indexOf(phase) > order.indexOf(best) ? phase : best), 'IDLE');
}
