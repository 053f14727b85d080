import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Desired, InstallPhase, ReleaseReference } from '@vigie/protocol';
import { writeIdentity } from '../src/io/identity.js';
import { SlotStore } from '../src/io/slot-store.js';
import { systemClock } from '../src/io/system-clock.js';
import { EMPTY_STATE, type InstallState } from '../src/update/journal.js';
import type { StateName } from '../src/update/machine-types.js';
import { type Behaviour, type Board, makePackage, startBoard } from './board-fixture.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';
import { RecordingFileSystem } from './recording-file-system.js';
import { TcpSwitch } from './tcp-switch.js';

const MODEL_BYTES = 90_000;
export const TRIAL = { minFrames: 3, compareEvery: 1, deadlineMs: 2000 };

/** The three packages of every case, made once: what came with the agent, what runs, what shall run. */
export const packages = {
  bundled: await makePackage('1.0.0', { modelBytes: MODEL_BYTES }),
  running: await makePackage('1.1.0', { modelBytes: MODEL_BYTES }),
  wanted: await makePackage('1.2.0', { modelBytes: MODEL_BYTES, seed: 4 }),
};

/** How a board is brought into a state, and what ends it. */
export interface Scenario {
  state: StateName;
  desired?: Partial<Desired>;
  behaviour?: Behaviour;
  hot?: boolean;
  chunks?: boolean;
  /** Version that runs in the end; the wanted one when absent. */
  ends?: string;
}

const SHADOW = { seconds: 1, everyFrames: 1, minAgreement: 0 };

export const SCENARIOS: readonly Scenario[] = [
  { state: 'IDLE' },
  ...(['OFFERED', 'PREFLIGHT', 'DOWNLOADING', 'VERIFYING', 'STAGED', 'SELF_TEST'] as const).map((state) => ({ state })),
  { state: 'SHADOW', desired: { shadow: { ...SHADOW, outcome: 'trial' } } },
  { state: 'TRIAL' },
  { state: 'COMMITTED' },
  { state: 'SHADOWED', desired: { shadow: { ...SHADOW, outcome: 'report' } }, ends: '1.1.0' },
  { state: 'ROLLED_BACK', behaviour: { detections: () => [] } },
  { state: 'INCONCLUSIVE', hot: true },
  { state: 'FAILED', chunks: false },
];

/** One board with its fleet, whose surroundings can be made to fail. */
export class FaultRig {
  readonly data = scratchFolder();
  /** Added to the wall clock, ms. */
  clockOffset = 0;
  hot = false;
  disk: RecordingFileSystem | null = null;
  board: Board | null = null;
  readonly behaviours: Record<string, Behaviour> = {};
  readonly refused: string[] = [];
  private generation = 1;
  private cured = false;

  private constructor(
    readonly scenario: Scenario,
    readonly broker: TestBroker,
    readonly line: TcpSwitch,
    readonly fleet: TestFleet,
    readonly running: ReleaseReference,
    readonly wanted: ReleaseReference,
  ) {}

  static async start(scenario: Scenario): Promise<FaultRig> {
    const broker = await TestBroker.start();
    const line = await TcpSwitch.to(broker.port);
    const fleet = new TestFleet(broker);
    const running = await fleet.publish(packages.running);
    const wanted = await fleet.publish(packages.wanted, { chunks: scenario.chunks });
    const rig = new FaultRig(scenario, broker, line, fleet, running, wanted);
    rig.hot = scenario.hot === true;
    if (scenario.behaviour?.detections !== undefined) {
      const { detections } = scenario.behaviour;
      // Its self-test is passed; live it sees nothing.
      rig.behaviours['1.2.0'] = { detections: (live) => (live ? detections(live) : PASSES) };
    }
    await rig.layOut();
    return rig;
  }

  /** The board as an earlier update left it: generation 1, `running` in its slot. */
  private async layOut(): Promise<void> {
    const slot = join(this.data, 'slots', this.running.digest);
    await mkdir(dirname(slot), { recursive: true });
    cpSync(packages.running, slot, { recursive: true });
    const { identity } = this.fleet;
    await writeIdentity(this.data, {
      ...identity,
      mqtt: { ...identity.mqtt, url: `mqtt://127.0.0.1:${this.line.port}` },
    });
    const desired: Desired = {
      deviceId: 'board-1',
      generation: 1,
      issuedAt: new Date().toISOString(),
      release: this.running,
    };
    const entry = { generation: 1, release: this.running, phase: 'COMMITTED' as const, error: null };
    const state: InstallState = {
      ...{ ...EMPTY_STATE, generation: 1, desired, newestIssuedAt: desired.issuedAt, active: this.running },
      journal: { ...entry, attempt: 1, loads: 0, killed: 0 },
    };
    writeFileSync(join(this.data, 'state.json'), JSON.stringify(state));
  }

  /** Starts the agent on a folder; resolves once its first model was started, or none could be. */
  async boot(data: string, disk: RecordingFileSystem | null): Promise<Board> {
    const clock = { ...systemClock, wall: () => Date.now() + this.clockOffset };
    const { identity } = this.fleet;
    this.board = await startBoard({
      identity: { ...identity, mqtt: { ...identity.mqtt, url: `mqtt://127.0.0.1:${this.line.port}` } },
      data,
      bundled: packages.bundled,
      behaviours: this.behaviours,
      more: {
        clock,
        readHeat: () => ({ temperatureC: this.hot ? 95 : 40, throttled: false }),
        ...(disk === null ? {} : { files: disk }),
      },
    });
    this.disk = disk;
    return this.board;
  }

  /** Runs until the journal has reached the scenario's state; `hit` is called in that very moment, once. */
  async reach(hit: () => void): Promise<void> {
    const board = await this.boot(this.data, new RecordingFileSystem(this.data));
    let done = false;
    await until('live results', () => (board.updater.status().active?.framesRun ?? 0) > 9);
    board.updater.onPhase((status) => {
      if (done || status.generation < 2 || status.phase !== this.scenario.state) return;
      done = true;
      hit();
    });
    await this.assign(this.scenario.state === 'IDLE' ? null : this.wanted, this.scenario.desired);
    await until(`the state ${this.scenario.state}`, () => done, 60_000).catch((error: Error) => {
      throw new Error(`${error.message}; ${JSON.stringify(board.updater.status())}`);
    });
  }

  async assign(release: ReleaseReference | null, more: Partial<Desired> = {}): Promise<void> {
    this.generation += 1;
    await this.fleet.assign(release, this.generation, { trial: TRIAL, ...more });
  }

  /** What a board detects with right after its start: a version, once the folder it came from was hashed whole. */
  async seesWith(board: Board, data: string): Promise<string> {
    const { active } = board.live;
    if (active === null) return 'BLIND';
    const slots = new SlotStore({ dataDirectory: data, bundledDirectory: null, delivery: null });
    const verified = active.version === '1.0.0' || (await slots.open(active.digest)) !== null;
    return verified ? active.version : `${active.version} UNVERIFIED`;
  }

  /** Takes away what the scenario itself needed, so that the wanted release can be reached. */
  async cure(): Promise<void> {
    if (this.cured) return;
    this.cured = true;
    this.hot = false;
    delete this.behaviours['1.2.0'];
    if (this.scenario.chunks === false) await this.fleet.publish(packages.wanted);
    if (this.scenario.state === 'IDLE') await this.assign(this.wanted);
    if (this.scenario.state === 'ROLLED_BACK') await this.assign(this.wanted, { retry: true });
  }

  /** Waits for the end that the fleet wants, and that the board says so. */
  async converged(): Promise<string> {
    const { ends = '1.2.0' } = this.scenario;
    const phase: InstallPhase = ends === '1.2.0' ? 'COMMITTED' : 'SHADOWED';
    await until(
      `${phase} with ${ends}`,
      () => {
        const status = this.board?.updater.status();
        return status?.phase === phase && status.active?.release.version === ends && status.active.framesRun > 3;
      },
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; ${JSON.stringify(this.board?.updater.status())}`);
    });
    return phase;
  }

  async stop(): Promise<void> {
    await this.board?.stop();
    this.board = null;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.line.close();
    await this.broker.close();
  }
}

const PASSES = [
  { classId: 0, label: 'person', score: 0.9, box: [0.25, 0.25, 0.75, 0.75] as [number, number, number, number] },
];

/** A copy of a folder as it stands. */
export function copyOf(data: string): string {
  const copy = scratchFolder();
  mkdirSync(copy, { recursive: true });
  cpSync(data, copy, { recursive: true });
  return copy;
}

/** Runs tasks, some at a time, in order of their index; all results, or the first error. */
export async function pooled<T, R>(
  items: readonly T[],
  width: number,
  run: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let at = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      while (at < items.length) {
        const index = at;
        at += 1;
        results[index] = await run(items[index], index);
      }
    }),
  );
  return results;
}
