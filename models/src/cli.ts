#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConvertError } from './convert/convert-error.js';
import { DatasetError } from './evaluate/dataset-error.js';
import { InspectError } from './inspect/inspect-error.js';
import { PackageError } from './package/package-error.js';
import { QuantizeError } from './quantize/quantize-error.js';

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

/** Each command brings libraries of its own (an engine, a picture decoder): only the one that was called is loaded. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  inspect: async () => (await import('./inspect-command.js')).inspectCommand(),
  pack: async () => (await import('./pack-command.js')).packCommand(),
  verify: async () => (await import('./verify-command.js')).verifyCommand(),
  detect: async () => (await import('./detect-command.js')).detectCommand(),
  evaluate: async () => (await import('./evaluate-command.js')).evaluateCommand(),
  quantize: async () => (await import('./quantize-command.js')).quantizeCommand(),
  convert: async () => (await import('./convert-command.js')).convertCommand(),
  pull: async () => (await import('./pull-command.js')).pullCommand(),
};

const program = new Command('vigie-models')
  .description('What a model is: inspect, pack, verify, evaluate, quantize and convert models, detect in pictures.')
  .addHelpText('after', '\nExit status: 0 done, 1 it failed, 2 bad usage or bad input. Logs go to stderr.')
  .exitOverride();
const called = Object.hasOwn(COMMANDS, process.argv[2] ?? '') ? [COMMANDS[process.argv[2]]] : Object.values(COMMANDS);
for (const command of await Promise.all(called.map((load) => load()))) {
  program.addCommand(command.exitOverride().showHelpAfterError('(--help tells more)'));
}

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
