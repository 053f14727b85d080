import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTraces } from '../scripts/lib/machine-traces.mjs';
import { findImpurities } from '../scripts/lib/pure-code.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
let tree: string;

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'vigie-lint-'));
  execFileSync('git', ['init', '--quiet'], { cwd: tree });
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

describe('clocks, timers and randomness in pure code', () => {
  it.each(['Date.now()', 'new Date()', 'Math.random()', 'setTimeout(run, 1)', 'performance.now()', 'process.env.HOME'])(
    'finds %s',
    (call) => {
      write('agent/src/vision/planted.ts', `export const x =\n  ${call};\n`);
      expect(findImpurities(tree)).toEqual([expect.stringMatching(/^agent\/src\/vision\/planted\.ts:2: /)]);
    },
  );

  it('leaves alone what is allowed', () => {
    write(
      'agent/src/vision/fine.ts',
      '// Date.now() is an argument here\nexport const at = (ms: number) => new Date(ms);\n',
    );
    write('agent/src/vision/fine.test.ts', 'Date.now();\n');
    write('agent/src/io/clock.ts', 'Date.now();\n');
    expect(findImpurities(tree)).toEqual([]);
  });

  it('finds none in the real house', () => {
    expect(findImpurities(root)).toEqual([]);
  });
});

describe('traces of a machine in committed files', () => {
  const host = ['https:/', 'registry.example.org', 'left-pad.tgz'].join('/');
  it.each([
    ['a home folder', ['see ', 'home', 'ada', 'notes.txt'].join('/')],
    ['a work folder', `"${['', 'work', 'clip.mp4'].join('/')}"`],
    ['a lockfile with hosts', `{"resolved": "${host}"}`],
    ['a package mirror', `registry=${host}`],
  ])('finds %s', (_what, text) => {
    write('notes.md', `first line\n${text}\n`);
    expect(findTraces(tree)).toEqual([expect.stringMatching(/^notes\.md:2: /)]);
  });

  it('leaves alone what git ignores, and words that look alike', () => {
    write('.gitignore', 'ignored.txt\n');
    write('ignored.txt', ['', 'home', 'ada', 'x'].join('/'));
    write('fine.md', 'tuf/root/3, models/work/x, {id}/home/kit and ../root/x\n');
    expect(findTraces(tree)).toEqual([]);
  });

  it('finds none in the real house', () => {
    expect(findTraces(root)).toEqual([]);
  });
});
