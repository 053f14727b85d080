#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConvertError } from './convert/convert-error.js';
import { convertCommand } from './convert-command.js';
import { detectCommand } from './detect-command.js';
import { DatasetError } from './evaluate/dataset-error.js';
import { evaluateCommand } from './evaluate-command.js';
import { InspectError } from './inspect/inspect-error.js';
import { inspectCommand } from './inspect-command.js';
import { packCommand } from './pack-command.js';
import { PackageError } from './package/package-error.js';
import { pullCommand } from './pull-command.js';
import { QuantizeError } from './quantize/quantize-error.js';
import { quantizeCommand } from './quantize-command.js';
import { verifyCommand } from './verify-command.js';

/** System errors, and codes of `pull`, that mean a path, a URL or a name given by the user is wrong. */
const PATH_FAULTS = new Set([
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EACCES',
  'EPERM',
  'EROFS',
  'URL_REFUSED',
  'MODEL_UNKNOWN',
]);

const program = new Command('vigie-models')
  .description('What a model is: pack, verify and quantize packages, detect in pictures.')
  .addHelpText('after', '\nExit status: 0 done, 1 it failed, 2 bad usage or bad input. Logs go to stderr.')
  .addCommand(inspectCommand())
  .addCommand(packCommand())
  .addCommand(verifyCommand())
  .addCommand(detectCommand())
  .addCommand(evaluateCommand())
  .addCommand(quantizeCommand())
  .addCommand(pullCommand())
  .addCommand(convertCommand())
  .exitOverride();
for (const command of program.commands) command.exitOverride().showHelpAfterError('(--help tells more)');

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Tells the user what went wrong; returns the exit status. */
function report(error: unknown): number {
  // Commander has printed its own message; help that was asked for is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`vigie-models: ${typeof code === 'string' ? `${code}: ` : ''}${message}\n`);
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ ok: false, error: { code: code ?? 'INTERNAL', message } }));
  const inputErrors = [PackageError, ConvertError, QuantizeError, InspectError, DatasetError];
  const badInput = inputErrors.some((kind) => error instanceof kind);
  return badInput || (typeof code === 'string' && PATH_FAULTS.has(code)) ? 2 : 1;
}
