#!/usr/bin/env node
import { Command } from 'commander';
import { ConfigError, documentedDefaults, loadConfig } from './config.js';
import { doctorCommand } from './doctor-command.js';
import { enrollCommand } from './enroll-command.js';
import { AGENT_VERSION, StartError, startAgent } from './main.js';

interface RunFlags {
  config?: string;
  data?: string;
}

/** How long an orderly end may take before the process ends anyway, ms. */
const STOP_TIMEOUT_MS = 15_000;

async function run(flags: RunFlags): Promise<void> {
  const config = loadConfig(flags.config ?? null, process.env);
  if (flags.data !== undefined) config.data.directory = flags.data;
  // Before anything is started: a signal during the start must not leave children behind.
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  const agent = await startAgent(config);
  await Promise.race([signalled, agent.ended]);
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  await agent.stop();
  process.exit(0);
}

/** Expected refusals as one line; anything else is a fault of ours and shows its stack. */
function fail(error: unknown): never {
  if (error instanceof ConfigError) {
    process.stderr.write(`vigie-agent: ${error.message}\n`);
    process.exit(2);
  }
  if (error instanceof StartError) {
    process.stderr.write(`vigie-agent: ${error.message}\n`);
    process.exit(error.exitCode);
  }
  throw error;
}

const program = new Command('vigie-agent')
  .description('The lookout on one board: camera, detection, events, hot-swapped models.')
  .version(AGENT_VERSION)
  .configureOutput({ outputError: (text, write) => write(`vigie-agent: ${text.replace(/^error: /, '')}`) })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

program
  .command('run')
  .description('run the board')
  .option('--config <file>', 'YAML configuration; without it the environment alone: VIGIE_SOURCE_URL=…')
  .option('--data <directory>', 'data directory; overrides data.directory')
  .addHelpText(
    'after',
    '\nEvery field of the configuration can be overridden: VIGIE_<SECTION>_<FIELD>, e.g. VIGIE_HTTP_PORT=9000.\n' +
      'Fields, defaults and ranges: vigie-agent config. Exit codes: 0 ended as asked, 1 fault, 2 configuration refused.',
  )
  .action((flags: RunFlags) => run(flags).catch(fail));

program.addCommand(enrollCommand(AGENT_VERSION));
program.addCommand(doctorCommand());

program
  .command('config')
  .description('print every field with its meaning, default and range, as YAML')
  .action(() => {
    process.stdout.write(documentedDefaults());
  });

await program.parseAsync();
