import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FP32_PACKAGE, inRepository } from '../benchmarks/src/rig/repository.js';

it('running a model leaves nothing in the home folder: the telemetry of ONNX Runtime is off', () => {
  const home = mkdtempSync(join(tmpdir(), 'vigie-home-'));
  try {
    const { ORT_DISABLE_TELEMETRY: _, XDG_CACHE_HOME: __, ...env } = process.env;
    const picture = join(FP32_PACKAGE, 'golden', readdirSync(join(FP32_PACKAGE, 'golden'))[0]);
    const args = [inRepository('models/dist/cli.js'), 'detect', FP32_PACKAGE, picture, '--json'];
    const detected = spawnSync(process.execPath, args, { env: { ...env, HOME: home }, encoding: 'utf8' });
    expect(detected.status, detected.stderr).toBe(0);
    expect(readdirSync(home, { recursive: true })).toEqual([]);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
