import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rootPrefix, runOnStderr, which } from './command.mjs';
import { SetupError, say } from './console.mjs';

/** Root of the repository. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

const MINIMUM_NODE = [20, 19];

/** Where a Debian program lives, when its package is not called like it. */
const DEBIAN_PACKAGE = {
  ffmpeg: 'ffmpeg',
  mosquitto_sub: 'mosquitto-clients',
  mosquitto: 'mosquitto',
  'nats-server': 'nats-server',
  '/usr/lib/postgresql/15/bin/postgres': 'postgresql-15',
  chromium: 'chromium',
  'qemu-aarch64-static': 'qemu-user-static',
  'qemu-x86_64-static': 'qemu-user-static',
  '/usr/aarch64-linux-gnu/lib/libstdc++.so.6': 'libstdc++6-arm64-cross',
};

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  throw new SetupError(`Node ${process.versions.node} is too old: Vigie needs ${MINIMUM_NODE.join('.')} or newer.`);
}

/** What the installed tree depends on: the lockfile, and the platform and Node for which binaries were chosen. */
function lockStamp() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${lock} ${process.platform} ${process.arch}\n`;
}

/** Is this the tree that somebody installed by hand from this very lockfile? npm leaves its own copy of the lockfile behind. */
function installedByHand() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')).packages;
    return Object.entries(wanted).every(
      ([path, entry]) => !path.includes('node_modules/') || entry.optional || present[path]?.version === entry.version,
    );
  } catch {
    return false;
  }
}

/** `npm ci` when node_modules is absent or was installed from another lockfile. */
export async function installPackages({ quiet }) {
  const stampFile = join(root, 'node_modules/.vigie-lock');
  const stamp = lockStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  if (!installedByHand()) {
    say(quiet, 'Installing npm packages (npm ci)...');
    const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
    // NODE_ENV=production would leave out the compiler.
    const args = [...npm.slice(1), 'ci', '--include=dev', '--no-progress', `--loglevel=${quiet ? 'error' : 'notice'}`];
    await runOnStderr('npm ci', npm[0], args, { quiet, cwd: root });
  }
  writeFileSync(stampFile, stamp);
}

/** A program on PATH, or a file by its absolute path. */
const isThere = (program) => (program.startsWith('/') ? existsSync(program) : which(program) !== null);

/** Installs Debian packages for programs that are missing; says how to when it may not. */
export async function installPrograms(programs, { quiet }) {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => DEBIAN_PACKAGE[program] ?? program))];
  const byHand = `Missing: ${missing.join(', ')}. Install with: apt-get install ${packages.join(' ')} (as root), then try again.`;
  const prefix = rootPrefix();
  if (prefix === null || which('apt-get') === null) throw new SetupError(byHand);
  say(quiet, `Installing ${packages.join(', ')} (apt-get)...`);
  const apt = async (args) => {
    const [program, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args];
    await runOnStderr(`apt-get ${args[0]}`, program, rest, { quiet });
  };
  try {
    // A bare machine has no package lists, an old one has stale ones: fetch them first, once, and only when something is missing.
    await apt(['update']);
    await apt(['install', '-y', '--no-install-recommends', ...packages]);
  } catch (error) {
    throw new SetupError(`${error.message} ${byHand}`);
  }
}

/** `tsc -b`: returns at once when nothing has changed. */
export async function build({ quiet }) {
  say(quiet, 'Building (tsc -b)...');
  await runOnStderr('The build', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], {
    quiet,
    cwd: root,
  });
}

/** Everything that a fresh clone lacks. `programs` are looked for on PATH. */
export async function setUp({ quiet = false, programs = [] } = {}) {
  checkNode();
  await installPrograms(programs, { quiet });
  await installPackages({ quiet });
  await build({ quiet });
}

/**
 * Runs a built program in this very process, so that signals, exit code, stdin and stdout are its own.
 * `path` is relative to the root of the repository.
 */
export async function become(path, args) {
  const file = join(root, path);
  process.argv = [process.execPath, file, ...args];
  await import(file);
}
