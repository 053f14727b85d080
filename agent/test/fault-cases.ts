import { expect } from 'vitest';
import { materialise } from './disk-model.js';
import { copyOf, FaultRig, type Scenario } from './fault-rig.js';
import { scratchFolder, until } from './fleet-fixture.js';

const TEN_YEARS = 10 * 365.25 * 86_400_000;

/** What befalls a board in a state. `strike` is called in the moment the state is on the disk; it returns what the next start finds. */
interface Fault {
  name: string;
  strike(rig: FaultRig): { data: string };
  /** The agent goes on for a while under the fault before it is started again. */
  linger: boolean;
  heal(rig: FaultRig): Promise<void>;
}

const here = (rig: FaultRig) => ({ data: rig.data });
const nothing = async () => {};

export const FAULTS: readonly Fault[] = [
  { name: 'SIGKILL', strike: (rig) => ({ data: copyOf(rig.data) }), linger: false, heal: nothing },
  {
    name: 'power cut',
    strike: (rig) => {
      const data = scratchFolder();
      const tree = rig.disk?.now({ names: 'durable', data: 'durable' });
      if (tree !== undefined) materialise(tree, data);
      return { data };
    },
    linger: false,
    heal: nothing,
  },
  ...(['EIO', 'ENOSPC'] as const).map(
    (code): Fault => ({
      name: code,
      strike: (rig) => {
        // Reads go on, as they do on a card that has worn out or is full.
        if (rig.disk !== null) rig.disk.fault = (count) => (count >= 0 ? code : null);
        return here(rig);
      },
      linger: true,
      heal: async (rig) => {
        if (rig.disk !== null) rig.disk.fault = null;
      },
    }),
  ),
  {
    name: 'child crash',
    strike: (rig) => {
      for (const child of rig.board?.factory.living ?? []) child.kill('SIGKILL');
      return here(rig);
    },
    linger: true,
    heal: nothing,
  },
  {
    name: 'broker gone',
    strike: (rig) => {
      rig.line.cut();
      return here(rig);
    },
    linger: true,
    heal: async (rig) => rig.line.mend(),
  },
  {
    name: 'server gone',
    // Nobody acknowledges, and what the server should have signed anew has run out.
    strike: (rig) => {
      rig.fleet.timestampExpires = new Date(Date.now() - 60_000);
      void rig.fleet.republish();
      return here(rig);
    },
    linger: true,
    heal: async (rig) => {
      rig.fleet.timestampExpires = new Date(Date.now() + 3_600_000);
      await rig.fleet.republish();
    },
  },
  ...([-TEN_YEARS, TEN_YEARS] as const).map(
    (offset): Fault => ({
      name: offset < 0 ? '10 years back' : '10 years ahead',
      strike: (rig) => {
        rig.clockOffset = offset;
        return here(rig);
      },
      linger: true,
      heal: async (rig) => {
        rig.clockOffset = 0;
      },
    }),
  ),
];

/**
 * One cell of the table: the fault strikes in the state, the agent starts again while it lasts, then it is healed. Says what the
 * board saw with at once after the start, and how it ended.
 */
export async function cell(scenario: Scenario, fault: Fault): Promise<string> {
  const rig = await FaultRig.start(scenario);
  const where = `${scenario.state} × ${fault.name}`;
  try {
    let data = rig.data;
    await rig.reach(() => {
      ({ data } = fault.strike(rig));
    });
    const board = rig.board;
    if (fault.linger && board !== null) {
      const seen = framesOf(board);
      await until(`${where}: frames under the fault`, () => framesOf(board) !== seen);
    }
    await rig.stop();
    const again = await rig.boot(data, data === rig.data ? rig.disk : null);
    const sees = await rig.seesWith(again, data);
    expect(['1.1.0', '1.2.0'], where).toContain(sees);
    // Nothing but a commit makes a board start from the new model.
    if (scenario.state !== 'COMMITTED' && !fault.linger) expect(sees, where).toBe('1.1.0');
    if (scenario.state === 'COMMITTED') expect(sees, where).toBe('1.2.0');
    await fault.heal(rig);
    await rig.cure();
    const end = await rig.converged();
    return `${sees} ${end}`;
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  } finally {
    await rig.close();
  }
}

function framesOf(board: NonNullable<FaultRig['board']>): string {
  const { active } = board.updater.status();
  return `${active?.release.digest} ${active?.framesRun}`;
}

/** The table as text: a line per state, a column per fault. */
export function table(cells: ReadonlyMap<string, string>, states: readonly string[]): string {
  const names = FAULTS.map(({ name }) => name);
  const line = (head: string, rest: readonly string[]) =>
    [head.padEnd(13), ...rest.map((text) => text.padEnd(16))].join(' ');
  return [
    line('state', names),
    ...states.map((state) =>
      line(
        state,
        names.map((name) => cells.get(`${state} × ${name}`) ?? '-'),
      ),
    ),
  ].join('\n');
}
