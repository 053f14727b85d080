import { Argument, type Command } from 'commander';
import { completionScript, SHELLS, type Shell } from './completion.js';

/** `vigie completion SHELL` */
export function addCompletionCommands(program: Command): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(completionScript(program, shell)));
}
