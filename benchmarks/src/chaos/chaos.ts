import { fixedPorts } from '../rig/free-port.js';
import { AGENT_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE, requireFiles, SERVER_CLI } from '../rig/repository.js';
import { judgeEvents, readStoredEvents } from './event-check.js';
import { ChaosRun } from './run.js';
import { ChaosFolder } from './state.js';
import { type ChaosSummary, summarise } from './summary.js';
import { totalKills } from './tally.js';

export interface ChaosOptions {
  kills: number;
  seed: number;
  boards: number;
  fps: number;
  blindMs: number;
  /** Goes on with the state in `data`; without one there it begins anew. */
  resume: boolean;
  /** Stop after so long and leave the rest for a later `resume`. */
  minutes?: number;
  data: string;
  onProgress(line: string): void;
}

/** One invocation. `complete`: all kills were done; else the state in `data` lets a later one go on. */
export async function runChaos(options: ChaosOptions): Promise<{ summary: ChaosSummary; complete: boolean }> {
  requireFiles([AGENT_CLI, SERVER_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE]);
  const folder = new ChaosFolder(options.data);
  folder.endStrays();
  const earlier = options.resume ? folder.load() : undefined;
  const state = earlier ?? folder.create(options.seed, options.boards, await fixedPorts(options.boards + 2));
  if (earlier !== undefined)
    options.onProgress(`going on after ${totalKills(state.tally)} kills (seed ${state.seed}, ${state.boards} boards)`);
  const run = new ChaosRun(folder, state, options);
  const onSignal = (): void => run.stop();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const limit = options.minutes === undefined ? undefined : setTimeout(() => run.stop(), options.minutes * 60_000);
  try {
    await run.begin();
    await run.strike();
  } finally {
    clearTimeout(limit);
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    await run.end();
  }
  folder.endStrays();
  const complete = totalKills(state.tally) >= options.kills;
  const events = judgeEvents(await readStoredEvents(folder.path('server', 'database')), {
    journaled: folder.ledger('journaled'),
    acknowledged: folder.ledger('acknowledged'),
    published: folder.ledger('published'),
  });
  // Of a run that was cut, boards still hold events that the next invocation will see arrive.
  if (complete) for (const key of events.journaledLost) run.find('event-lost', key.split('/')[0], `journaled: ${key}`);
  for (const key of events.acknowledgedLost) run.find('event-lost', key.split('/')[0], `acknowledged: ${key}`);
  for (const detail of events.twice) run.find('event-twice', detail.split('/')[0], detail);
  return { summary: summarise(state, options.kills, events), complete };
}
