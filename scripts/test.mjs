#!/usr/bin/env node
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInherited } from './lib/command.mjs';
import { orFail } from './lib/console.mjs';
import { root, setUp } from './lib/setup.mjs';

const HELP = `npm test -- [--full] [vitest options and filters]

Installs what is missing, builds and runs the tests of all workspaces. \`npm run test:full\` (or --full) runs them and then
the files named *.full.test.ts: a browser, clients that are not ours, real clips, emulated boards. What fails in a full run
is tried once more. Ends with one line "N passed, N failed, N skipped", after the reason of each test that was skipped,
passed only at the second try, or failed.
With CI set in the environment it prints a line a minute and what fails, not every file.
`;

// The log of a CI job is read from its end, and often only in part: what is red must not drown in what is green.
const compact = (process.env.CI ?? '') !== '';

/** One vitest run. `stage` is VIGIE_FULL as vitest.config.ts reads it. Returns the exit code and what our reporter counted. */
async function runVitest(stage, args) {
  const folder = mkdtempSync(join(tmpdir(), 'vigie-test-'));
  const resultFile = join(folder, 'result.json');
  try {
    const code = await runInherited(
      process.execPath,
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        '--passWithNoTests',
        '--silent=passed-only',
        ...(compact ? [] : ['--reporter=default']),
        `--reporter=${join(root, 'scripts/lib/reporter.mjs')}`,
        ...args,
      ],
      {
        cwd: root,
        env: {
          ...{ VIGIE_FULL: stage, VIGIE_TEST_RETRY: full ? '1' : '' },
          ...{ VIGIE_TEST_RESULT: resultFile, VIGIE_TEST_COMPACT: compact ? '1' : '' },
        },
      },
    );
    return { code, ...JSON.parse(readFileSync(resultFile, 'utf8')) };
  } catch (error) {
    process.stderr.write(`vitest left no result: ${error.message}\n`);
    return {
      code: 1,
      passed: 0,
      failed: [{ name: 'vitest', reason: `left no result: ${error.message}` }],
      skipped: [],
      unsteady: [],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const given = process.argv.slice(2);
if (given.includes('--help') || given.includes('-h')) {
  process.stdout.write(HELP);
  process.exit(0);
}
const full = given.includes('--full');
const args = given.filter((arg) => arg !== '--full');
// The emulators of other processors run on x86-64 only.
const emulators =
  process.arch === 'x64'
    ? ['qemu-x86_64-static', 'qemu-aarch64-static', '/usr/aarch64-linux-gnu/lib/libstdc++.so.6']
    : [];
const POSTGRES = '/usr/lib/postgresql/15/bin/postgres';
const programs = full
  ? ['ffmpeg', 'mosquitto', 'mosquitto_sub', 'nats-server', 'chromium', POSTGRES, ...emulators]
  : ['ffmpeg'];
await orFail(() => setUp({ programs }));

const runs = [await runVitest('', args)];
if (full) runs.push(await runVitest('only', args));

const total = { passed: 0, failed: [], skipped: [], unsteady: [] };
for (const run of runs) {
  total.passed += run.passed;
  total.failed.push(...run.failed);
  total.skipped.push(...run.skipped);
  total.unsteady.push(...run.unsteady);
}
process.stdout.write('\n');
for (const { name, reason } of total.skipped) process.stdout.write(`skipped: ${name}: ${reason}\n`);
for (const { name, reason } of total.unsteady)
  process.stdout.write(`unsteady, passed at the second try: ${name}: ${reason}\n`);
for (const { name, reason } of total.failed) process.stdout.write(`failed: ${name}: ${reason}\n`);
process.stdout.write(`${total.passed} passed, ${total.failed.length} failed, ${total.skipped.length} skipped\n`);

const code = runs.find((run) => run.code !== 0)?.code ?? 0;
// A filter that matches nothing, or a runner that found nothing, must not look like success.
const nothingRan = total.passed + total.failed.length + total.skipped.length === 0;
process.exitCode = code !== 0 ? code : nothingRan || total.failed.length > 0 ? 1 : 0;
