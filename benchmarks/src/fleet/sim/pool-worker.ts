import { readIdentities } from './identities-file.js';
import type { PoolReply, PoolRequest } from './pool-messages.js';
import { SimulatedFleet } from './simulated-fleet.js';

/** A process of its own for some thousands of simulated boards; told what to do by its parent, and gone with it. */
if (process.send === undefined) throw new Error('pool-worker is started by the fleet benchmark');
const reply = (message: PoolReply): void => void process.send?.(message);
/** Problems that are told in words; the others are counted. */
const SHOWN = 5;
let fleet: SimulatedFleet | null = null;
let problems: string[] = [];
let problemCount = 0;

async function answer(request: PoolRequest): Promise<void> {
  if (request.kind === 'start') {
    const identities = (await readIdentities(request.identitiesFile, request.from, request.to)) ?? [];
    fleet = new SimulatedFleet({
      ...request.options,
      identities,
      onProblem: (deviceId, message) => {
        problemCount += 1;
        if (problems.length < SHOWN) problems.push(`${deviceId}: ${message}`);
      },
    });
    await fleet.start();
    reply({ kind: 'started' });
  } else if (request.kind === 'tally' && fleet !== null) {
    reply({ kind: 'tally', tally: fleet.tally(), problems, problemCount });
    problems = [];
  } else if (request.kind === 'stop') {
    await fleet?.stop();
    reply({ kind: 'stopped' });
    process.disconnect();
  }
}

process.on('message', (request: PoolRequest) => {
  answer(request).catch((error: Error) => reply({ kind: 'failed', message: error.message }));
});
process.once('disconnect', () => process.exit(0));
// The parent ends the boards in order; an interrupt of the terminal reaches it, too.
process.on('SIGINT', () => {});
