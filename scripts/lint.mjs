#!/usr/bin/env node
import { join } from 'node:path';
import { runInherited } from './lib/command.mjs';
import { orFail } from './lib/console.mjs';
import { findTraces } from './lib/machine-traces.mjs';
import { findImpurities } from './lib/pure-code.mjs';
import { root, setUp } from './lib/setup.mjs';

await orFail(() => setUp());

const tool = (path, args) => () =>
  runInherited(process.execPath, [join(root, 'node_modules', path), ...args], { cwd: root });
const sources = ['agent/protocol/src', 'agent/src', 'fleet-server/src', 'models/src', 'benchmarks/src'];

/** Prints findings; 0 when there are none. */
function report(findings) {
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  return findings.length === 0 ? 0 : 1;
}

const checks = [
  ['format and lint (biome)', tool('@biomejs/biome/bin/biome', ['check', '.'])],
  [
    'import rules (dependency-cruiser)',
    tool('dependency-cruiser/bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.cjs', ...sources]),
  ],
  ['types of the tests (tsc)', tool('typescript/bin/tsc', ['-p', 'tsconfig.test.json'])],
  ['no clock, timer or randomness in pure code', () => report(findImpurities(root))],
  ['no trace of a machine in committed files', () => report(findTraces(root))],
];

const failed = [];
for (const [name, check] of checks) {
  process.stderr.write(`- ${name}\n`);
  if ((await check()) !== 0) failed.push(name);
}
process.stderr.write(failed.length === 0 ? `${checks.length} checks passed\n` : `failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
