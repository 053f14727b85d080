#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { addAlertCommands } from './operator/alert-commands.js';
import { ApiError, UsageError } from './operator/api-error.js';
import { addAuditCommands } from './operator/audit-commands.js';
import { addBackupCommand } from './operator/backup-command.js';
import { addBenchmarkCommands } from './operator/benchmark-commands.js';
import { addChannelCommands } from './operator/channel-commands.js';
import { addCompletionCommands } from './operator/completion-commands.js';
import { addGlobalOptions, commandContext } from './operator/context.js';
import { addDeviceCommands } from './operator/device-commands.js';
import { addDeviceWorkCommands } from './operator/device-work-commands.js';
import { addEnrollmentCommands } from './operator/enrollment-commands.js';
import { addEventCommands } from './operator/event-commands.js';
import { addGateCommands } from './operator/gate-commands.js';
import { addGroupCommands } from './operator/group-commands.js';
import { addLoginCommands } from './operator/login-commands.js';
import { addReleaseCommands } from './operator/release-commands.js';
import { addRolloutCommands } from './operator/rollout-commands.js';
import { addSessionCommands } from './operator/session-commands.js';
import { addStatusCommands } from './operator/status-commands.js';
import { printable } from './operator/table.js';
import { addTokenCommands } from './operator/token-commands.js';
import { addUserCommands } from './operator/user-commands.js';

// Before any noun: they inherit it.
const program = new Command('vigie')
  .description("The operator's command line over the fleet server's API.")
  .exitOverride();
addGlobalOptions(program);
const context = commandContext(program, process.env);

addDeviceCommands(program, context);
addDeviceWorkCommands(program, context);
addGroupCommands(program, context);
addEnrollmentCommands(program, context);
addReleaseCommands(program, context);
addBenchmarkCommands(program, context);
addGateCommands(program, context);
addRolloutCommands(program, context);
addEventCommands(program, context);
addTokenCommands(program, context);
addAlertCommands(program, context);
addChannelCommands(program, context);
addStatusCommands(program, context);
addUserCommands(program, context);
addSessionCommands(program, context);
addAuditCommands(program, context);
addBackupCommand(program, context);
addLoginCommands(program, context, process.env);
addCompletionCommands(program);

/** Exit 2: wrong use; 1: the server refused or did not answer. */
program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  if (!(error instanceof ApiError)) throw error;
  process.stderr.write(`vigie: ${error.code}: ${printable(error.message)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
