import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { DemoReport } from '../src/demo/report.js';

const DEMO = fileURLToPath(new URL('../dist/demo/main.js', import.meta.url));
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
if (!hasFfmpeg) console.warn('demo test skipped: ffmpeg is not installed');

function run(args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Command lines of running processes that name this text. */
function commandsNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((command) => command.includes(text));
}

describe('demo', () => {
  it('ends with 2 and one clear line on a wrong option', async () => {
    const { code, stderr } = await run(['--http-port', 'eighty']);
    expect(code).toBe(2);
    expect(stderr).toContain('--http-port');
  });

  it.skipIf(!hasFfmpeg)(
    'tells the whole story, prints one JSON document and leaves nothing running',
    { timeout: 280_000 },
    async () => {
      const { code, stdout, stderr } = await run(['--once', '--json']);
      const report = JSON.parse(stdout) as DemoReport;
      expect(
        report.checks.filter((check) => !check.ok),
        stderr,
      ).toEqual([]);
      expect(report.error, stderr).toBeUndefined();
      expect(code).toBe(0);
      expect(report.ok).toBe(true);
      expect(report.releases.map(({ precision }) => precision)).toEqual(['fp32', 'int8']);
      expect(report.gates.map(({ policy, verdict }) => [policy, verdict])).toEqual([
        ['demo', 'pass'],
        ['demo', 'pass'],
      ]);
      for (const { release, refused, metrics } of report.gates) {
        expect(refused).toContain(`${release} is a candidate that nothing has measured yet`);
        expect(metrics.fps).toBeGreaterThan(3);
      }
      const held = report.checks.filter(({ name }) => /refused|passed the gate|certified for/.test(name));
      expect(held).toHaveLength(6);
      expect(report.swap.framesMissed).toBe(0);
      expect(report.detections).toBeGreaterThan(0);
      expect(report.events).toBeGreaterThanOrEqual(2);
      const page = /Page: (http:\/\/\S+)/.exec(stderr)?.[1];
      expect(page).toBeDefined();
      await expect(fetch(page as string)).rejects.toThrow();
      const folder = /vigie-[A-Za-z0-9]{6}/.exec(stderr)?.[0];
      if (folder !== undefined) expect(commandsNaming(folder)).toEqual([]);
    },
  );
});
