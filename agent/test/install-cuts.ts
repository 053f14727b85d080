import { expect } from 'vitest';
import { startBoard } from './board-fixture.js';
import { type Cut, type DiskOperation, fingerprint, materialise, type Tree } from './disk-model.js';
import { FaultRig, packages, SCENARIOS, type Scenario } from './fault-rig.js';
import { scratchFolder, until } from './fleet-fixture.js';
import { RecordingFileSystem } from './recording-file-system.js';

const INSTALL = SCENARIOS.find(({ state }) => state === 'TRIAL') as Scenario;

export interface Recording {
  rig: FaultRig;
  disk: RecordingFileSystem;
}

/** One whole install of a running board, from its start to its commit, with every change of its disk. */
export async function recordInstall(): Promise<Recording> {
  const rig = await FaultRig.start(INSTALL);
  const disk = new RecordingFileSystem(rig.data);
  const board = await rig.boot(rig.data, disk);
  await until('live results', () => (board.updater.status().active?.framesRun ?? 0) > 9);
  await rig.assign(rig.wanted);
  await rig.converged();
  // What is collected after the commit belongs to it.
  await rig.stop();
  return { rig, disk };
}

export interface Recovery {
  index: number;
  cut: Cut;
  tree: Tree;
  /** What the board saw with. */
  version: string;
}

/** What an agent without any line makes of a disk: the version that it runs at once. Fails when that is not a verified one. */
export async function recover(rig: FaultRig, tree: Tree, what: string): Promise<string> {
  const data = scratchFolder();
  materialise(tree, data);
  const board = await startBoard({ identity: null, data, blind: true, bundled: packages.bundled });
  try {
    const version = await rig.seesWith(board, data);
    // Its slot is there, so what came with the agent is never needed.
    expect(['1.1.0', '1.2.0'], what).toContain(version);
    const state = tree.get('state.json');
    const { active } = JSON.parse(state?.toString('utf8') ?? '{}') as { active?: { version: string } };
    expect(version, what).toBe(active?.version);
    return version;
  } finally {
    await board.stop();
  }
}

/** What a start makes of every cut of a recording; the same disk is tried once. */
export async function recoverAll({ rig, disk }: Recording): Promise<Recovery[]> {
  const tried = new Map<string, string>();
  const recoveries: Recovery[] = [];
  for (const { index, cut, tree, key } of disk.cuts()) {
    const what = `cut before operation ${index} (${said(disk.operations[index])}), names ${cut.names}, data ${cut.data}`;
    const version = tried.get(key) ?? (await recover(rig, tree, what));
    tried.set(key, version);
    recoveries.push({ index, cut, tree, version });
  }
  return recoveries;
}

function said(operation: DiskOperation | undefined): string {
  return operation === undefined ? 'the end' : `${operation.do} ${operation.path}`;
}

/** One of each: what a start depends on, without the outbox. */
export function distinct(recoveries: readonly Recovery[]): Recovery[] {
  const seen = new Set<string>();
  return recoveries.filter(({ tree }) => {
    const key = fingerprint(new Map([...tree].filter(([path]) => !path.startsWith('outbox'))));
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** A start on that disk with its fleet there: it must end with the wanted model, committed. */
export async function converge(rig: FaultRig, tree: Tree, what: string): Promise<void> {
  const data = scratchFolder();
  materialise(tree, data);
  try {
    await rig.boot(data, null);
    await rig.converged().catch((error: Error) => {
      throw new Error(`${what}: ${error.message}`);
    });
  } finally {
    await rig.stop();
  }
}
