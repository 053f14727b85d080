import { Command, InvalidArgumentError, Option } from 'commander';
import { VERIFY_LIMITS, verifySandboxed } from './sandbox/verify-sandboxed.js';

interface Options {
  json?: boolean;
  sandbox: boolean;
  timeout: number;
  memory: number;
}

const MIB = 1024 * 1024;

/** `vigie-models verify FILE|DIR`: exit 0 when every check held, 1 when one failed, 2 when there is nothing to check. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check a package: schema, sizes, digests, labels, that the model loads and finds its golden frames')
    .argument('<package>', 'a folder or a .vigie file')
    .option('--no-sandbox', 'in this process, for packages you trust (default: in a child with limits)')
    .addOption(
      new Option('--timeout <seconds>', 'time the sandboxed check may take')
        .argParser(whole(1, 3600))
        .default(VERIFY_LIMITS.timeoutMs / 1000),
    )
    .addOption(
      new Option('--memory <mib>', 'memory the sandboxed check may take')
        .argParser(whole(128, 65_536))
        .default(VERIFY_LIMITS.memoryBytes / MIB),
    )
    .option(
      '--json',
      'print one JSON document: {ok, name, version, precision, digest, bytes, runtime, checks: [{name, ok, detail}], code?}',
    )
    .addHelpText('after', '\nExit status: 0 every check held, 1 a check failed, 2 bad usage or nothing there.')
    .action(async (path: string, options: Options) => {
      const result = options.sandbox
        ? await verifySandboxed(path, { timeoutMs: options.timeout * 1000, memoryBytes: options.memory * MIB })
        : // Loaded only when asked for: the parent of a sandbox needs no inference engine.
          await (await import('./sandbox/verify-package.js')).verifyPackage(path);
      if (options.json) console.log(JSON.stringify(result));
      else
        for (const check of result.checks)
          console.log(`${check.ok ? 'ok    ' : 'FAILED'} ${check.name}: ${check.detail}`);
      if (!result.ok) process.exitCode = 1;
    });
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`);
  };
}
