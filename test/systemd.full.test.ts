import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const units = ['vigie-agent', 'vigie-server'].map((name) =>
  fileURLToPath(new URL(`../systemd/${name}.service`, import.meta.url)),
);
// Known from systemd 254 on; Debian 12's 252 ignores them with a warning.
const NEWER_KEYS = /Unknown key( name)? '(RestartSteps|RestartMaxDelaySec)'/;

it('systemd-analyze finds nothing wrong with the units', ({ skip }) => {
  const verified = spawnSync('systemd-analyze', ['verify', '--recursive-errors=no', ...units], { encoding: 'utf8' });
  if (verified.error !== undefined) skip('systemd-analyze is not installed');
  const complaints = verified.stderr
    .split('\n')
    .filter((line) => /vigie-(agent|server)\.service/.test(line) && !NEWER_KEYS.test(line));
  expect(complaints).toEqual([]);
});

it.for(units)('%s leaves little to an attacker', (unit, { skip }) => {
  // "Exposure" 0 (nothing left) to 10 (everything); what is above is named in the table of systemd/README.md.
  const options = ['security', '--offline=true', '--threshold=30', '--no-pager', unit];
  const rated = spawnSync('systemd-analyze', options, { encoding: 'utf8' });
  if (rated.error !== undefined) skip('systemd-analyze is not installed');
  expect(rated.status, rated.stdout).toBe(0);
});
