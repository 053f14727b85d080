import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openPackageDirectory } from '@vigie/models/package/package';
import type { Detection } from '@vigie/models/runtime/detection';
import { compareGolden } from '@vigie/models/runtime/golden';
import { beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = 'person-detector-int8';
const cli = 'models/dist/cli.js';
const stills = readdirSync(`${root}/models/media/stills`)
  .filter((file) => file.endsWith('.jpg'))
  .filter((_, index) => index % 3 === 0)
  .map((file) => `models/media/stills/${file}`);

/** One command prefix for each processor that must see what this one sees. */
const PROCESSORS = {
  'Raspberry Pi 4': ['node', 'scripts/emulation/pi4-emulated.mjs', '--cpu', 'cortex-a72'],
  'Raspberry Pi 5': ['node', 'scripts/emulation/pi4-emulated.mjs', '--cpu', 'cortex-a76'],
  // AVX2 without VNNI, where u8 x s8 products saturate.
  'x86-64 without VNNI': ['qemu-x86_64-static', '-cpu', 'Haswell', process.execPath],
};

interface Found {
  image: string;
  width: number;
  height: number;
  detections: Detection[];
}

function detect(prefix: readonly string[]): Found[] {
  const [program, ...before] = prefix;
  const args = [...before, cli, 'detect', `models/zoo/${model}`, ...stills, '--json'];
  const run = spawnSync(program, args, { cwd: root, encoding: 'utf8', timeout: 240_000 });
  // Qemu warns of features it does not emulate; the command's own complaint is the last line.
  expect(run.status, `${run.error ?? ''}${run.stderr.slice(-500)}`).toBe(0);
  return JSON.parse(run.stdout);
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'emulates other processors on Linux x86-64 only';
  if (process.getuid?.() !== 0) return 'needs root to mount files over /proc';
  const registry = '/proc/sys/fs/binfmt_misc';
  const mount = `test -e ${registry}/register || mount -t binfmt_misc binfmt_misc ${registry}`;
  const allowed = spawnSync('unshare', ['-m', 'sh', '-c', mount]).status === 0;
  return allowed ? undefined : 'this machine allows no mount namespaces or no binfmt_misc';
}

describe('the shipped INT8 detector finds the same on', () => {
  let here: Found[];
  beforeAll(() => {
    here = detect([process.execPath]);
  });

  it.for(Object.entries(PROCESSORS))('%s', { timeout: 400_000 }, async ([, prefix], { skip }) => {
    const reason = whyNot();
    if (reason !== undefined) skip(reason);
    const { manifest } = await openPackageDirectory(`${root}/models/zoo/${model}`);
    const { tolerance } = manifest.golden[0];
    const share = ({ width, height, detections }: Found) =>
      detections.map(({ label, score, box: [x1, y1, x2, y2], classId }) => ({
        label,
        classId,
        score,
        box: [x1 / width, y1 / height, x2 / width, y2 / height] as [number, number, number, number],
      }));
    const there = detect(prefix);
    for (const [index, found] of there.entries()) {
      const expected = { file: found.image, tolerance, detections: share(here[index]) };
      expect(compareGolden(expected, share(found), manifest.thresholds.default)).toEqual({ ok: true });
    }
    expect(there.some(({ detections }) => detections.length > 0)).toBe(true);
  });
});
