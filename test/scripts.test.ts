import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** As a person would type it: without what the npm around this very test left in the environment. */
function npm(args: string[]): Promise<{ code: number; stdout: string }> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return new Promise((resolve) => {
    execFile('npm', args, { cwd: root, env }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout });
    });
  });
}

it('npm run writes nothing of its own on stdout, so that --json is one document there', async () => {
  const { code, stdout } = await npm(['run', 'demo', '--', '--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^npm run demo -- \[options\]\n/);
});
