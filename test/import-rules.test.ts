import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const workspaces = ['agent/protocol', 'models', 'agent', 'fleet-server', 'benchmarks'];
const sources = ['agent/protocol/src', 'agent/src', 'fleet-server/src', 'models/src', 'benchmarks/src'];

interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

/** Runs the linter's own command in `folder` and returns what it refuses. */
function violations(folder: string): Promise<Violation[]> {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, '--config', join(folder, '.dependency-cruiser.cjs'), '--output-type', 'json', ...sources];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      try {
        resolve((JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations);
      } catch {
        reject(error ?? new Error(stderr));
      }
    });
  });
}

/** A small house of our own on the real rules: nothing in it is forbidden until a test plants it. */
const innocent: Record<string, string> = {
  'agent/protocol/src/topics.ts': 'export const topics = 1;\n',
  'models/src/runtime/decode.ts': "export { topics } from '@vigie/protocol';\n",
  'models/src/runtime/onnx-session.ts': "import { readFile } from 'node:fs/promises';\nexport const read = readFile;\n",
  'agent/src/vision/tracker.ts': "export type { read } from '@vigie/models/runtime/decode';\n",
  'agent/src/update/reconcile.ts': 'export const next = 1;\n',
  'agent/src/io/ffmpeg-camera.ts': "import { spawn } from 'node:child_process';\nexport const start = spawn;\n",
  'agent/src/main.ts': "export { start } from './io/ffmpeg-camera.js';\n",
  'fleet-server/src/registry/states.ts': 'export const states = 1;\n',
  'fleet-server/src/io/aedes-broker.ts': 'export interface Broker {}\n',
  'fleet-server/src/services/assign.ts':
    "import type { Broker } from '../io/aedes-broker.js';\nexport type B = Broker;\n",
  'fleet-server/src/main.ts': "export { states } from './registry/states.js';\n",
  'benchmarks/src/cli.ts': "export { next } from '@vigie/agent/update/reconcile';\n",
};

const planted: [file: string, line: string, rule: string][] = [
  ['agent/src/update/planted.ts', "import '@vigie/fleet-server/main';", 'agent-never-imports-server-or-benchmarks'],
  ['agent/src/planted.ts', "import '../../fleet-server/src/main.js';", 'agent-never-imports-server-or-benchmarks'],
  ['agent/src/planted.ts', "import type {} from '@vigie/benchmarks/cli';", 'agent-never-imports-server-or-benchmarks'],
  ['fleet-server/src/planted.ts', "import '@vigie/agent/main';", 'server-never-imports-agent-or-benchmarks'],
  ['fleet-server/src/planted.ts', "import '../../agent/src/main.js';", 'server-never-imports-agent-or-benchmarks'],
  ['agent/protocol/src/planted.ts', "import '@vigie/agent/main';", 'protocol-imports-no-one'],
  ['agent/protocol/src/planted.ts', "import '../../src/main.js';", 'protocol-imports-no-one'],
  ['agent/protocol/src/planted.ts', "import '@vigie/models/runtime/decode';", 'protocol-imports-no-one'],
  ['models/src/planted.ts', "import '@vigie/agent/main';", 'models-import-only-protocol'],
  ['benchmarks/src/planted.ts', "import '@vigie/fleet-server/main';", 'benchmarks-never-import-server'],
  ['agent/src/vision/planted.ts', "import '../io/ffmpeg-camera.js';", 'pure-code-does-no-io'],
  ['models/src/runtime/planted.ts', "import 'node:fs';", 'pure-code-does-no-io'],
  ['models/src/runtime/planted.ts', "import 'fs/promises';", 'pure-code-does-no-io'],
  ['fleet-server/src/registry/planted.ts', "export const later = import('node:net');", 'pure-code-does-no-io'],
  ['agent/src/update/planted.ts', "import 'mqtt';", 'pure-code-uses-no-adapter-library'],
  ['agent/src/vision/planted.ts', "import type {} from 'sharp';", 'pure-code-uses-no-adapter-library'],
  ['agent/src/vision/planted.ts', "import '@vigie/models/runtime/onnx-session';", 'pure-code-uses-no-adapter-library'],
  ['agent/src/planted.ts', "import './io/ffmpeg-camera.js';", 'only-main-names-adapters'],
  ['agent/src/planted.ts', "import type {} from './io/ffmpeg-camera.js';", 'only-main-names-adapters'],
  ['fleet-server/src/routes/planted.ts', "import '../io/aedes-broker.js';", 'only-main-makes-adapters'],
  ['agent/src/update/planted.ts', "import './no-such-file.js';", 'not-to-unresolvable'],
];

async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/** The house with the real rules, package.json files and installed packages, but with our small sources. */
async function buildHouse(folder: string): Promise<void> {
  for (const file of ['.dependency-cruiser.cjs', 'tsconfig.base.json', 'package.json']) {
    await cp(join(root, file), join(folder, file));
  }
  for (const workspace of workspaces)
    await cp(join(root, workspace, 'package.json'), join(folder, workspace, 'package.json'));
  await mkdir(join(folder, 'node_modules/@vigie'), { recursive: true });
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (name === '@vigie' || name.startsWith('.')) continue;
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  for (const workspace of workspaces) {
    const name = workspace.slice(workspace.lastIndexOf('/') + 1);
    await symlink(join(folder, workspace), join(folder, 'node_modules/@vigie', name));
  }
  await writeFiles(folder, innocent);
}

/** What `tsc -b` would leave behind, as far as resolving an import goes. */
async function pretendBuilt(folder: string): Promise<void> {
  for (const path of [...Object.keys(innocent), 'agent/protocol/src/index.ts']) {
    const built = path.replace('/src/', '/dist/').replace(/\.ts$/, '');
    await writeFiles(folder, { [`${built}.js`]: 'export {};\n', [`${built}.d.ts`]: 'export {};\n' });
  }
}

describe.each([
  { state: 'before the build', built: false },
  { state: 'after the build', built: true },
])('import rules, $state', ({ built }) => {
  let house: string;

  beforeAll(async () => {
    house = await mkdtemp(join(tmpdir(), 'vigie-rules-'));
    await buildHouse(house);
    if (built) await pretendBuilt(house);
  });
  afterAll(() => rm(house, { recursive: true, force: true }));

  it('accept a house in order', async () => {
    expect(await violations(house)).toEqual([]);
  });

  it('refuse each forbidden import by the name of its rule', async () => {
    const files: Record<string, string> = {};
    const expected: string[] = [];
    for (const [index, [path, line, rule]] of planted.entries()) {
      const file = path.replace('planted', `planted-${index}`);
      files[file] = `${line}\n${line.startsWith('export') ? '' : 'export {};\n'}`;
      expected.push(`${file}: ${rule}`);
    }
    await writeFiles(house, files);
    const found = (await violations(house)).map(({ from, rule }) => `${from}: ${rule.name}`);
    expect(found).toEqual(expect.arrayContaining(expected));
  });
});

describe('import rules', () => {
  it('hold in the real house', async () => {
    const found = (await violations(root)).map(({ from, to, rule }) => `${rule.name}: ${from} -> ${to}`);
    expect(found).toEqual([]);
  });
});
