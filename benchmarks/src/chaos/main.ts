import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { progress } from '../progress.js';
import { runChaos } from './chaos.js';

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
    return value;
  };
}

const program = new Command('npm run test:chaos --')
  .description(
    'Kills agents, inference children and the fleet server at random moments of continuous updates and looks from outside ' +
      'whether any board went blind, any slot corrupt, any event lost. Progress on stderr, one JSON summary on stdout. ' +
      'Exit 0: all kills done and nothing found; 1: something found; 3: cut off, go on with --resume; 2: wrong use.',
  )
  .option('--kills <n>', 'how many, over all invocations', whole(1, 100_000), 1000)
  .option('--seed <n>', 'of the schedule of victims, moments and delays', whole(0, 2_147_483_647), 1)
  .option('--boards <n>', 'boards that run side by side', whole(1, 32), 4)
  .option('--fps <n>', "frames per second of the boards' cameras", whole(1, 30), 5)
  .option('--blind-after <s>', 'a board that does not detect again within so many seconds is blind', whole(2, 600), 30)
  .option('--resume', 'go on where the last invocation stopped; seed and boards are those it began with', false)
  .option('--minutes <n>', 'stop after so many minutes (exit 3), to go on later with --resume', whole(1, 10_000))
  .option('--data <dir>', 'folder of the run: state, logs, boards, server', join(tmpdir(), 'vigie-chaos'))
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

interface Options {
  kills: number;
  seed: number;
  boards: number;
  fps: number;
  blindAfter: number;
  resume: boolean;
  minutes?: number;
  data: string;
}

const options = program.parse().opts<Options>();
// One rig per process that was ever killed lives until its orphans are gone.
process.setMaxListeners(200);
try {
  const data = resolve(options.data);
  const { summary, complete } = await runChaos({
    ...options,
    data,
    blindMs: options.blindAfter * 1000,
    onProgress: progress,
  });
  const text = `${JSON.stringify(summary, null, 2)}\n`;
  writeFileSync(join(data, 'summary.json'), text);
  process.stdout.write(text);
  if (!complete) progress(`stopped after ${summary.kills.total} kills; go on with --resume`);
  process.exitCode = summary.ok ? 0 : complete || summary.findings.length > 0 ? 1 : 3;
} catch (error) {
  progress(`chaos: ${(error as Error).message}`);
  process.exitCode = 1;
}
